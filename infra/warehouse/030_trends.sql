-- What dashboards draw: one row for each day, out of the audit log.
CREATE OR REPLACE VIEW ${crm.sfdc_dbx.coverage_by_day} AS
SELECT pipeline, snapshot_date, total_properties, synced_properties, coverage_percentage
FROM ${crm.sfdc_dbx.sync_audit_log}
WHERE row_kind = 'day';

-- Of runs, so that a day is here as soon as it has one.
CREATE OR REPLACE VIEW ${crm.sfdc_dbx.error_rate_by_day} AS
SELECT
  pipeline,
  snapshot_date,
  sync_name,
  COUNT(*) AS runs,
  COUNT(CASE WHEN status = 'completed' THEN 1 END) AS completed_runs,
  CAST(SUM(records_processed) AS BIGINT) AS records_processed,
  CAST(SUM(records_failed) AS BIGINT) AS records_failed,
  CAST(ROUND(100.0 * SUM(records_failed) / NULLIF(SUM(records_processed), 0), 2) AS DECIMAL(5, 2)) AS error_rate
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
