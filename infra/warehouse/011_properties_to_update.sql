-- Example model of the sync `properties-update`: properties of which Salesforce has another version than the source. Only the two syncs
-- write `source_version` into the text field Source_Version__c, so a property is selected until the copy shows its newest version.
-- Comparing `updated_at` with `last_modified_date` would lose changes: see README.md.
CREATE OR REPLACE VIEW ${crm.sfdc_dbx.properties_to_update} AS
SELECT
  p.property_id,
  p.company_name AS company_name,
  p.address,
  p.city,
  p.status,
  p.created_at,
  p.updated_at,
  CAST(p.updated_at AS VARCHAR(40)) AS source_version
FROM ${crm.rds.properties} p
JOIN (
  -- If there are duplicates, each must have the newest version.
  SELECT
    sf_property_id_c,
    COUNT(*) AS records,
    COUNT(source_version_c) AS versions,
    MIN(source_version_c) AS lowest_version,
    MAX(source_version_c) AS highest_version
  FROM ${crm.salesforce.product_property}
  WHERE NOT COALESCE(_fivetran_deleted, FALSE)
  GROUP BY sf_property_id_c
) c ON c.sf_property_id_c = p.property_id
WHERE NOT COALESCE(p.deleted, FALSE)
  AND (
    c.versions < c.records
    OR c.lowest_version <> CAST(p.updated_at AS VARCHAR(40))
    OR c.highest_version <> CAST(p.updated_at AS VARCHAR(40))
  );
