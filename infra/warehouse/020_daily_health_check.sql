-- The state of the pipeline in one row. The limits use the exact share: 94.996 is shown as 95.00 and is not excellent.
CREATE OR REPLACE VIEW ${crm.sfdc_dbx.daily_health_check} AS
SELECT
  s.total_properties,
  s.synced_properties,
  CAST(ROUND(100.0 * s.synced_properties / NULLIF(s.total_properties, 0), 2) AS DECIMAL(5, 2)) AS coverage_percentage,
  CASE
    WHEN s.total_properties = 0 THEN 'no data'
    WHEN 100 * s.synced_properties >= 95 * s.total_properties THEN 'excellent'
    WHEN 100 * s.synced_properties >= 90 * s.total_properties THEN 'good'
    ELSE 'poor'
  END AS coverage_status,
  tc.create_queue_count,
  tu.update_queue_count,
  q.null_company_count,
  d.duplicate_count
FROM (
  SELECT COUNT(*) AS total_properties, COUNT(c.sf_property_id_c) AS synced_properties
  FROM ${crm.rds.properties} p
  LEFT JOIN (
    SELECT sf_property_id_c
    FROM ${crm.salesforce.product_property}
    WHERE NOT COALESCE(_fivetran_deleted, FALSE)
    GROUP BY sf_property_id_c
  ) c ON c.sf_property_id_c = p.property_id
  WHERE NOT COALESCE(p.deleted, FALSE)
) s
CROSS JOIN (SELECT COUNT(*) AS create_queue_count FROM ${crm.sfdc_dbx.properties_to_create}) tc
CROSS JOIN (SELECT COUNT(*) AS update_queue_count FROM ${crm.sfdc_dbx.properties_to_update}) tu
CROSS JOIN (
  SELECT COUNT(CASE WHEN company_name_c IS NULL OR TRIM(company_name_c) = '' THEN 1 END) AS null_company_count
  FROM ${crm.salesforce.product_property}
  WHERE NOT COALESCE(_fivetran_deleted, FALSE)
) q
CROSS JOIN (
  -- The number of properties that exist more than once.
  SELECT COUNT(*) AS duplicate_count
  FROM (
    SELECT sf_property_id_c
    FROM ${crm.salesforce.product_property}
    WHERE NOT COALESCE(_fivetran_deleted, FALSE) AND sf_property_id_c IS NOT NULL
    GROUP BY sf_property_id_c
    HAVING COUNT(*) > 1
  ) twice
) d;
