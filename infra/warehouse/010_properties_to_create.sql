-- Example model of the sync `properties-create`: properties that are not yet in Salesforce, by Fivetran's copy. The copy lags
-- behind, so the same property may be selected twice in a row: the sync must write by the external id.
CREATE OR REPLACE VIEW ${crm.sfdc_dbx.properties_to_create} AS
SELECT
  p.property_id,
  p.company_name AS company_name,
  p.address,
  p.city,
  p.status,
  p.created_at,
  p.updated_at,
  -- Mapped to Source_Version__c, as in `properties-update`: see 011.
  CAST(p.updated_at AS VARCHAR(40)) AS source_version
FROM ${crm.rds.properties} p
LEFT JOIN (
  SELECT sf_property_id_c
  FROM ${crm.salesforce.product_property}
  WHERE NOT COALESCE(_fivetran_deleted, FALSE)
  GROUP BY sf_property_id_c
) c ON c.sf_property_id_c = p.property_id
WHERE NOT COALESCE(p.deleted, FALSE)
  -- Not ready: the sales team does not want records without a company. They count as not covered.
  AND p.company_name IS NOT NULL
  AND c.sf_property_id_c IS NULL;
