-- The metrics of `syncwatch scoreboard` that follow from the audit log alone, with their default goals, as of the newest complete day.
-- As there, a value is NULL where a record is missing, and unknown is never met. Without an incident in the week there is nothing to
-- measure, which meets the goal. Unlike there, only syncs that ran during the week count, and detection-mean is the mean of the time
-- to detect, as the audit log has no percentile. Durations are seconds. A duplicate row counts once. data-quality is the share of the
-- compared fields that agree, once an object was ever compared; before, of the records without a flaw.
CREATE OR REPLACE VIEW ${crm.sfdc_dbx.scoreboard} AS
SELECT
  v.pipeline,
  v.snapshot_date,
  v.metric,
  v.window_days,
  CAST(ROUND(CASE WHEN v.known = 1 THEN v.exact_value END, 2) AS DECIMAL(18, 2)) AS value,
  v.bound,
  v.goal,
  CASE
    WHEN v.known = 0 THEN 'unknown'
    WHEN v.exact_value IS NULL THEN 'met'
    WHEN v.bound = 'at-least' AND v.exact_value >= v.goal THEN 'met'
    WHEN v.bound = 'at-most' AND v.exact_value <= v.goal THEN 'met'
    ELSE 'not-met'
  END AS outcome,
  v.samples
FROM (
  SELECT
    d.pipeline,
    d.newest_date AS snapshot_date,
    m.metric,
    m.window_days,
    m.bound,
    m.goal,
    CASE m.metric
      WHEN 'success-rate' THEN CASE WHEN d.whole_days = 7 AND r.completed + r.failed >= 5 THEN 1 ELSE 0 END
      WHEN 'daily-runs' THEN CASE WHEN r.fewest_runs IS NOT NULL THEN 1 ELSE 0 END
      WHEN 'coverage' THEN CASE WHEN d.synced IS NOT NULL AND d.properties > 0 THEN 1 ELSE 0 END
      WHEN 'data-quality' THEN CASE
        WHEN o.pipeline IS NOT NULL THEN CASE WHEN o.fields_compared > 0 THEN 1 ELSE 0 END
        WHEN d.flawed IS NOT NULL AND d.synced > 0 THEN 1
        ELSE 0
      END
      WHEN 'detection-mean' THEN CASE WHEN d.opened_days = 7 THEN 1 ELSE 0 END
      ELSE CASE WHEN d.resolved_days = 7 THEN 1 ELSE 0 END
    END AS known,
    CASE m.metric
      WHEN 'success-rate' THEN 100.0 * r.completed / NULLIF(r.completed + r.failed, 0)
      WHEN 'daily-runs' THEN 1.0 * r.fewest_runs
      WHEN 'coverage' THEN 100.0 * d.synced / NULLIF(d.properties, 0)
      WHEN 'data-quality' THEN CASE
        WHEN o.pipeline IS NOT NULL THEN 100.0 * o.fields_agreeing / NULLIF(o.fields_compared, 0)
        WHEN d.flawed < d.synced THEN 100.0 * (d.synced - d.flawed) / NULLIF(d.synced, 0)
        ELSE 0.0
      END
      WHEN 'detection-mean' THEN 1.0 * d.detection_sum / NULLIF(d.opened, 0)
      ELSE 1.0 * d.recovery_sum / NULLIF(d.resolved, 0)
    END AS exact_value,
    CAST(CASE m.metric
      WHEN 'success-rate' THEN COALESCE(r.completed + r.failed, 0)
      WHEN 'daily-runs' THEN COALESCE(r.day_completed, 0)
      WHEN 'detection-mean' THEN COALESCE(d.opened, 0)
      WHEN 'recovery-mean' THEN COALESCE(d.resolved, 0)
      ELSE 1
    END AS BIGINT) AS samples
  FROM (
    -- The day itself, and sums over the days of the week. A day counts only if all its figures are known.
    SELECT
      w.pipeline,
      w.newest_date,
      COUNT(CASE
        WHEN COALESCE(a.figures_missing, '') NOT LIKE 'runs: %'
          AND COALESCE(a.figures_missing, '') NOT LIKE '%; runs: %' THEN 1
      END) AS whole_days,
      MAX(CASE WHEN a.snapshot_date = w.newest_date THEN a.total_properties END) AS properties,
      MAX(CASE WHEN a.snapshot_date = w.newest_date THEN a.synced_properties END) AS synced,
      MAX(CASE WHEN a.snapshot_date = w.newest_date THEN a.null_company_count + a.duplicate_count END) AS flawed,
      COUNT(CASE WHEN a.incidents_opened = 0 OR a.time_to_detect_seconds IS NOT NULL THEN a.incidents_opened END)
        AS opened_days,
      SUM(a.incidents_opened) AS opened,
      SUM(a.incidents_opened * a.time_to_detect_seconds) AS detection_sum,
      COUNT(CASE WHEN a.incidents_resolved = 0 OR a.time_to_recover_seconds IS NOT NULL THEN a.incidents_resolved END)
        AS resolved_days,
      SUM(a.incidents_resolved) AS resolved,
      SUM(a.incidents_resolved * a.time_to_recover_seconds) AS recovery_sum
    FROM ${crm.sfdc_dbx.scoreboard_week} w
    JOIN (
      SELECT l.*, ROW_NUMBER() OVER (PARTITION BY audit_id ORDER BY execution_timestamp DESC) AS nth
      FROM ${crm.sfdc_dbx.sync_audit_log} l
      WHERE row_kind = 'day'
    ) a ON a.pipeline = w.pipeline AND a.snapshot_date > w.before_date AND a.snapshot_date <= w.newest_date
    WHERE a.nth = 1
    GROUP BY w.pipeline, w.newest_date
  ) d
  LEFT JOIN (
    SELECT
      s.pipeline,
      SUM(s.completed) AS completed,
      SUM(s.failed) AS failed,
      SUM(s.day_completed) AS day_completed,
      MIN(s.day_completed) AS fewest_runs
    FROM (
      SELECT
        w.pipeline,
        a.sync_name,
        COUNT(DISTINCT CASE WHEN a.status = 'completed' THEN a.audit_id END) AS completed,
        COUNT(DISTINCT CASE WHEN a.status = 'failed' THEN a.audit_id END) AS failed,
        COUNT(DISTINCT CASE WHEN a.status = 'completed' AND a.snapshot_date = w.newest_date THEN a.audit_id END)
          AS day_completed
      FROM ${crm.sfdc_dbx.scoreboard_week} w
      JOIN ${crm.sfdc_dbx.sync_audit_log} a
        ON a.pipeline = w.pipeline AND a.snapshot_date > w.before_date AND a.snapshot_date <= w.newest_date
      WHERE a.row_kind = 'run'
      GROUP BY w.pipeline, a.sync_name
    ) s
    GROUP BY s.pipeline
  ) r ON r.pipeline = d.pipeline
  LEFT JOIN (
    SELECT
      w.pipeline,
      SUM(CASE WHEN b.snapshot_date = w.newest_date THEN b.fields_compared END) AS fields_compared,
      SUM(CASE WHEN b.snapshot_date = w.newest_date THEN b.fields_agreeing END) AS fields_agreeing
    FROM ${crm.sfdc_dbx.scoreboard_week} w
    JOIN ${crm.sfdc_dbx.reconciliation_by_day} b ON b.pipeline = w.pipeline AND b.snapshot_date <= w.newest_date
    GROUP BY w.pipeline
  ) o ON o.pipeline = d.pipeline
  CROSS JOIN (
    SELECT 'success-rate' AS metric, 7 AS window_days, 'at-least' AS bound, 95 AS goal
    UNION ALL SELECT 'daily-runs', 1, 'at-least', 1
    UNION ALL SELECT 'coverage', 1, 'at-least', 90
    UNION ALL SELECT 'data-quality', 1, 'at-least', 95
    UNION ALL SELECT 'detection-mean', 7, 'at-most', 900
    UNION ALL SELECT 'recovery-mean', 7, 'at-most', 7200
  ) m
) v;
