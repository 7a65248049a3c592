-- The data of the dashboards: one row per day, from the audit log.
CREATE OR REPLACE VIEW ${crm.sfdc_dbx.coverage_by_day} AS
SELECT pipeline, snapshot_date, total_properties, synced_properties, coverage_percentage
FROM ${crm.sfdc_dbx.sync_audit_log}
WHERE row_kind = 'day';

-- Computed from runs, so a day is listed from its first run. A duplicate row counts as one run: Databricks does not enforce keys.
-- error_rate covers the runs with both counts, over all records to deliver: records_processed, or the records known to have arrived or
-- failed if that is more, as newer answers of Census do not count invalid records as processed. So it is at most 100.
CREATE OR REPLACE VIEW ${crm.sfdc_dbx.error_rate_by_day} AS
SELECT
  pipeline,
  snapshot_date,
  sync_name,
  COUNT(DISTINCT audit_id) AS runs,
  COUNT(DISTINCT CASE WHEN status = 'completed' THEN audit_id END) AS completed_runs,
  CAST(SUM(records_processed) AS BIGINT) AS records_processed,
  CAST(SUM(records_failed) AS BIGINT) AS records_failed,
  CAST(ROUND(
    100.0 * SUM(CASE WHEN records_processed IS NOT NULL THEN records_failed END)
    / NULLIF(SUM(CASE
      WHEN records_failed IS NULL THEN NULL
      WHEN COALESCE(records_succeeded, 0) + records_failed > records_processed
        THEN COALESCE(records_succeeded, 0) + records_failed
      ELSE records_processed
    END), 0), 2) AS DECIMAL(5, 2)) AS error_rate
FROM ${crm.sfdc_dbx.sync_audit_log}
WHERE row_kind = 'run'
GROUP BY pipeline, snapshot_date, sync_name;

CREATE OR REPLACE VIEW ${crm.sfdc_dbx.queue_sizes_by_day} AS
SELECT pipeline, snapshot_date, create_queue_count, update_queue_count
FROM ${crm.sfdc_dbx.sync_audit_log}
WHERE row_kind = 'day';

CREATE OR REPLACE VIEW ${crm.sfdc_dbx.data_quality_by_day} AS
SELECT
  pipeline,
  snapshot_date,
  null_company_count,
  duplicate_count,
  incidents_opened,
  incidents_resolved,
  time_to_detect_seconds,
  time_to_recover_seconds
FROM ${crm.sfdc_dbx.sync_audit_log}
WHERE row_kind = 'day';

-- The objects compared on a day, all together. A duplicate row counts once.
CREATE OR REPLACE VIEW ${crm.sfdc_dbx.reconciliation_by_day} AS
SELECT
  pipeline,
  snapshot_date,
  COUNT(fields_compared) AS objects_compared,
  COUNT(not_compared) AS objects_not_compared,
  CAST(SUM(missing_rows) AS BIGINT) AS missing_rows,
  CAST(SUM(extra_rows) AS BIGINT) AS extra_rows,
  CAST(SUM(different_rows) AS BIGINT) AS different_rows,
  CAST(SUM(pending_rows) AS BIGINT) AS pending_rows,
  CAST(SUM(fields_compared) AS BIGINT) AS fields_compared,
  CAST(SUM(fields_agreeing) AS BIGINT) AS fields_agreeing
FROM (
  SELECT l.*, ROW_NUMBER() OVER (PARTITION BY audit_id ORDER BY compared_at DESC) AS nth
  FROM ${crm.sfdc_dbx.reconciliation_log} l
) k
WHERE nth = 1
GROUP BY pipeline, snapshot_date;

-- Each act of a remedy, in its present state. A duplicate row counts once.
CREATE OR REPLACE VIEW ${crm.sfdc_dbx.remedy_acts} AS
SELECT
  pipeline,
  snapshot_date,
  sync_type AS remedy,
  sync_name AS target,
  status AS state,
  execution_timestamp AS acted_at,
  duration_seconds,
  notes
FROM (
  SELECT l.*, ROW_NUMBER() OVER (PARTITION BY audit_id ORDER BY execution_timestamp DESC) AS nth
  FROM ${crm.sfdc_dbx.sync_audit_log} l
  WHERE row_kind = 'remedy'
) k
WHERE nth = 1;
