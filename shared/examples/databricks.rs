//! Runs `SELECT 1` on a real SQL warehouse of Databricks. Reads only; it wakes a warehouse that is asleep.
//!
//! `DATABRICKS_TOKEN=... DATABRICKS_HOST=https://... DATABRICKS_WAREHOUSE_ID=... cargo run -p syncwatch --example databricks`

use std::error::Error;
use std::io::{Write as _, stdout};

use secrecy::SecretString;
use syncwatch::http;
use syncwatch::runtime::Env;
use syncwatch::sql::Statement;
use syncwatch::warehouse::{DatabricksAuth, DatabricksSettings, Settings, Warehouse};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let env = Env::process();
    let needed = |name: &str| env.optional(name).ok_or_else(|| format!("{name} is not set"));
    let auth = DatabricksAuth::Token(SecretString::from(needed("DATABRICKS_TOKEN")?));
    let settings =
        DatabricksSettings::new(needed("DATABRICKS_HOST")?, needed("DATABRICKS_WAREHOUSE_ID")?, auth);
    let warehouse = Warehouse::open(Settings::Databricks(settings), http::client()?)?;
    let answer = warehouse.query(&Statement::new("example", "SELECT 1 AS one")).await?;
    let one: i64 = answer.only_row()?.get("one")?;
    writeln!(stdout(), "Databricks answered {one}")?;
    Ok(())
}
