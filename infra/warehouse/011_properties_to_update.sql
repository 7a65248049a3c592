-- An example of the model that the sync `properties-update` reads: properties that changed after Salesforce last did.
CREATE OR REPLACE VIEW ${crm.sfdc_dbx.properties_to_update} AS
SELECT
  p.property_id,
  p.company_name AS company_name,
  p.address,
  p.city,
  p.status,
  p.created_at,
  p.updated_at
FROM ${crm.rds.properties} p
JOIN (
  -- The youngest, should there be duplicates.
  SELECT sf_property_id_c, MAX(last_modified_date) AS last_modified_date
  FROM ${crm.salesforce.product_property}
  WHERE NOT COALESCE(_fivetran_deleted, FALSE)
  GROUP BY sf_property_id_c
) c ON c.sf_property_id_c = p.property_id
WHERE NOT COALESCE(p.deleted, FALSE)
  AND p.updated_at > c.last_modified_date;
