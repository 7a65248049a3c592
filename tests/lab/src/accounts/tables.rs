//! Writes the companies and the copy of accounts into a real SQL engine: the changes since the last write.

use anyhow::Result;
use syncwatch::sql::{Decimal, ParameterValue};
use syncwatch::warehouse::Warehouse;

use super::world::{Account, AccountWorld, Company};
use crate::properties::{Table, make};

const COMPANIES: Table = Table {
    name: "crm.rds.companies",
    key: "id",
    columns: &[
        "id",
        "company_id",
        "name",
        "industry",
        "annual_revenue",
        "is_partner",
        "onboarded_at",
        "phone",
        "fax",
        "parent_account",
        "updated_at",
        "deleted",
    ],
    definition: "id VARCHAR(20) NOT NULL PRIMARY KEY, company_id VARCHAR(40), name VARCHAR(200), industry VARCHAR(20), \
                 annual_revenue DECIMAL(20, 5), is_partner BOOLEAN, onboarded_at TIMESTAMP, phone VARCHAR(40), \
                 fax VARCHAR(40), parent_account VARCHAR(18), updated_at TIMESTAMP NOT NULL, deleted BOOLEAN NOT NULL",
};
const COPY: Table = Table {
    name: "crm.salesforce.account",
    key: "id",
    columns: &[
        "id",
        "company_id_c",
        "name",
        "industry",
        "annual_revenue",
        "is_partner_c",
        "onboarded_at_c",
        "onboarded_on_c",
        "phone",
        "fax",
        "parent_id",
        "source_version_c",
        "last_modified_date",
        "last_modified_by_id",
        "_fivetran_deleted",
        "_fivetran_synced",
    ],
    definition: "id VARCHAR(18) NOT NULL PRIMARY KEY, company_id_c VARCHAR(40), name VARCHAR(80), industry VARCHAR(40), \
                 annual_revenue DOUBLE PRECISION, is_partner_c BOOLEAN, onboarded_at_c TIMESTAMP, onboarded_on_c DATE, \
                 phone VARCHAR(40), fax VARCHAR(40), parent_id VARCHAR(18), source_version_c TIMESTAMP, \
                 last_modified_date TIMESTAMP, last_modified_by_id VARCHAR(18), _fivetran_deleted BOOLEAN, \
                 _fivetran_synced TIMESTAMP NOT NULL",
};

/// The tables of companies and of the copy of accounts in an engine.
#[derive(Debug)]
pub struct AccountTables(Warehouse);

impl AccountTables {
    /// Creates the tables and writes the whole world.
    ///
    /// # Errors
    /// The engine refuses a statement; the error names it.
    pub async fn create(warehouse: Warehouse, world: &mut AccountWorld) -> Result<Self> {
        make(&warehouse, &[&COMPANIES, &COPY]).await?;
        let tables = Self(warehouse);
        tables.write(world).await?;
        Ok(tables)
    }

    /// The engine.
    #[must_use]
    pub fn warehouse(&self) -> &Warehouse {
        &self.0
    }

    /// Writes the changes since the last write, all or none.
    ///
    /// # Errors
    /// The engine refuses a statement; the error names it.
    pub async fn write(&self, world: &mut AccountWorld) -> Result<()> {
        let (companies, copies) = std::mem::take(&mut world.unwritten);
        let mut statements = Vec::new();
        let companies = companies.iter().filter_map(|number| Some((number, world.companies.get(*number)?)));
        let rows: Vec<_> = companies.map(|(number, company)| of_company(*number, company)).collect();
        COMPANIES.write(self.0.dialect(), &rows, &mut statements)?;
        let copies = copies.iter().filter_map(|number| world.copies.get(*number)?.as_ref());
        let rows: Vec<_> = copies
            .map(|(account, synced)| {
                let mut row = of_account(account);
                row.push((*synced).into());
                row
            })
            .collect();
        COPY.write(self.0.dialect(), &rows, &mut statements)?;
        self.0.execute_all(&statements).await?;
        Ok(())
    }
}

fn of_company(number: usize, company: &Company) -> Vec<ParameterValue> {
    vec![
        number.to_string().into(),
        company.key.clone().into(),
        company.name.clone().into(),
        company.industry.clone().into(),
        Decimal::parse(&company.revenue).into(),
        company.is_partner.into(),
        company.onboarded_at.into(),
        company.phone.clone().into(),
        company.fax.clone().into(),
        company.parent.clone().into(),
        company.updated_at.into(),
        company.deleted.into(),
    ]
}

fn of_account(account: &Account) -> Vec<ParameterValue> {
    vec![
        account.id.clone().into(),
        account.external_id.clone().into(),
        account.name.clone().into(),
        account.industry.clone().into(),
        account.revenue.parse::<f64>().ok().into(),
        account.is_partner.into(),
        account.onboarded_at.into(),
        account.onboarded_on.into(),
        account.phone.clone().into(),
        account.fax.clone().into(),
        account.parent.clone().into(),
        account.version.into(),
        account.modified_at.into(),
        account.modified_by.into(),
        account.deleted.into(),
    ]
}
