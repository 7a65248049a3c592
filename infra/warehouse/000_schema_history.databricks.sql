-- What was applied, and when. File 000 is run each time, for what is recorded here cannot record itself.
-- Differs by dialect: the schema must be there, text is STRING, and no key is enforced.
CREATE SCHEMA IF NOT EXISTS `crm`.`sfdc_dbx`;

CREATE TABLE IF NOT EXISTS ${crm.sfdc_dbx.schema_history} (
  number     INT NOT NULL,
  revision   INT NOT NULL,
  name       STRING NOT NULL,
  sha256     STRING NOT NULL,
  applied_at TIMESTAMP NOT NULL
);
