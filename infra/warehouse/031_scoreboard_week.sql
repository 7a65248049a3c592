-- The newest day of the audit log that is complete, and the seven days that end with it: `before_date` is the last day before them.
-- By that row and not by today's date, so the result does not depend on when and where it is queried. A day whose runs are not all
-- known is not complete: `figures_missing` says so.
CREATE OR REPLACE VIEW ${crm.sfdc_dbx.scoreboard_week} AS
SELECT n.pipeline, n.newest_date, n.newest_date - INTERVAL '7' DAY AS before_date
FROM (
  SELECT pipeline, MAX(snapshot_date) AS newest_date
  FROM ${crm.sfdc_dbx.sync_audit_log}
  WHERE row_kind = 'day' AND COALESCE(figures_missing, '') NOT LIKE 'runs: %'
    AND COALESCE(figures_missing, '') NOT LIKE '%; runs: %'
  GROUP BY pipeline
) n;
