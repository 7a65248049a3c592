-- The health of each sync: its last run, and the seven days up to the newest row of the audit log. By that row and not by today's
-- date, so the result does not depend on when and where it is queried. A sync that stopped is still listed, with 0 runs.
-- success_rate_7_days is computed as in the check `success-rate`: skipped and cancelled runs do not count. error_rate_7_days is computed
-- as in `error_rate_by_day`.
CREATE OR REPLACE VIEW ${crm.sfdc_dbx.sync_health_monitor} AS
SELECT
  l.pipeline,
  l.sync_name,
  l.sync_type,
  l.run_id AS last_run_id,
  l.status AS last_status,
  l.execution_timestamp AS last_run_at,
  l.records_processed AS last_records_processed,
  l.records_failed AS last_records_failed,
  COALESCE(w.runs, 0) AS runs_7_days,
  CAST(ROUND(100.0 * w.completed_runs / NULLIF(w.completed_runs + w.failed_runs, 0), 2) AS DECIMAL(5, 2))
    AS success_rate_7_days,
  CAST(ROUND(100.0 * w.records_failed / NULLIF(w.records_to_deliver, 0), 2) AS DECIMAL(5, 2)) AS error_rate_7_days
FROM (
  SELECT a.*, ROW_NUMBER() OVER (
    PARTITION BY pipeline, sync_name ORDER BY execution_timestamp DESC, audit_id DESC
  ) AS nth
  FROM ${crm.sfdc_dbx.sync_audit_log} a
  WHERE row_kind = 'run'
) l
LEFT JOIN (
  SELECT
    a.pipeline,
    a.sync_name,
    COUNT(DISTINCT a.audit_id) AS runs,
    COUNT(DISTINCT CASE WHEN a.status = 'completed' THEN a.audit_id END) AS completed_runs,
    COUNT(DISTINCT CASE WHEN a.status = 'failed' THEN a.audit_id END) AS failed_runs,
    SUM(CASE WHEN a.records_processed IS NOT NULL THEN a.records_failed END) AS records_failed,
    SUM(CASE
      WHEN a.records_failed IS NULL THEN NULL
      WHEN COALESCE(a.records_succeeded, 0) + a.records_failed > a.records_processed
        THEN COALESCE(a.records_succeeded, 0) + a.records_failed
      ELSE a.records_processed
    END) AS records_to_deliver
  FROM ${crm.sfdc_dbx.sync_audit_log} a
  JOIN (
    SELECT pipeline, MAX(snapshot_date) AS newest_date FROM ${crm.sfdc_dbx.sync_audit_log} GROUP BY pipeline
  ) n ON n.pipeline = a.pipeline
  WHERE a.row_kind = 'run' AND a.snapshot_date > n.newest_date - INTERVAL '7' DAY
  GROUP BY a.pipeline, a.sync_name
) w ON w.pipeline = l.pipeline AND w.sync_name = l.sync_name
WHERE l.nth = 1;
