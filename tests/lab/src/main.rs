//! The lab's command line: `make demo` and `make alert-test` run it.
#![expect(clippy::print_stdout, reason = "a command line writes to its standard streams")]

mod alert_test;
mod demo;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Parser, Subcommand};
use serde_json::json;
use syncwatch_lab::census::{CensusServer, World};
use syncwatch_lab::clock::LabClock;
use syncwatch_lab::databricks::DatabricksServer;
use syncwatch_lab::engines;
use syncwatch_lab::pages::samples;
use syncwatch_lab::properties::{PropertyWorld, Tables};
use syncwatch_lab::receivers::{PagerDuty, ROUTING_KEY};

/// The lab: every system around Syncwatch, simulated in one process.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch real functions find faults in a simulated Census.
    Demo {
        /// Keep it running afterwards.
        #[arg(long)]
        keep: bool,
        /// Write the excerpt in README.
        #[arg(long)]
        excerpt: bool,
    },
    /// Send one marked test notice through every channel, and show the arrivals.
    AlertTest,
    /// Run the simulated Census alone, for any Census client.
    Census {
        /// The same seed makes the same runs.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Run the simulated Census, Databricks and PagerDuty for the vendors' own clients. Prints addresses and tokens as one
    /// line of JSON, and ends with its standard input.
    Vendors {
        /// The same seed makes the same runs and data.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Write the status page in each state that it must show well, from the lab's history.
    Pages {
        /// Each state gets a folder in this one.
        folder: PathBuf,
    },
    /// Run the simulated Databricks alone, with the pipeline's data in the seed state.
    Databricks {
        /// The same seed makes the same data.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    match Arguments::parse().command {
        Command::Demo { keep, excerpt } => demo::play(keep, excerpt).await,
        Command::AlertTest => alert_test::run().await,
        Command::Census { seed } => census(seed).await,
        Command::Databricks { seed } => databricks(seed).await,
        Command::Pages { folder } => pages(&folder).await,
        Command::Vendors { seed } => vendors(seed).await,
    }
}

async fn pages(folder: &Path) -> Result<()> {
    let samples = samples().await?;
    for sample in &samples {
        sample.write(&folder.join(sample.name))?;
        println!("{}", folder.join(sample.name).join("index.html").display());
    }
    let month = folder.join("month").join("index.html");
    std::fs::create_dir_all(folder.join("month"))?;
    std::fs::write(&month, syncwatch_lab::pages::month(&samples)?)?;
    println!("{}", month.display());
    Ok(())
}

async fn vendors(seed: u64) -> Result<()> {
    let clock = LabClock::wall();
    let census = CensusServer::start(World::seed_pipeline(clock.now(), seed), clock).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("lab.sqlite");
    let mut world = PropertyWorld::as_found(LabClock::wall().now(), seed);
    let _tables = Tables::create(engines::sqlite(&file)?, &mut world).await?;
    let databricks = DatabricksServer::start(engines::sqlite(&file)?).await?;
    let pagerduty = PagerDuty::start().await?;
    let vendors = json!({
        "census": { "url": census.url(), "token": syncwatch_lab::census::TOKEN },
        "databricks": {
            "url": databricks.url(),
            "token": syncwatch_lab::databricks::TOKEN,
            "client_id": syncwatch_lab::databricks::CLIENT_ID,
            "client_secret": syncwatch_lab::databricks::CLIENT_SECRET,
            "warehouse_id": syncwatch_lab::databricks::WAREHOUSE_ID,
        },
        "pagerduty": { "url": pagerduty.url(), "routing_key": ROUTING_KEY },
    });
    println!("{vendors}");
    let mut input = String::new();
    tokio::task::spawn_blocking(move || std::io::stdin().read_line(&mut input)).await??;
    Ok(())
}

async fn census(seed: u64) -> Result<()> {
    let clock = LabClock::wall();
    let server = CensusServer::start(World::seed_pipeline(clock.now(), seed), clock).await?;
    println!("Census: {}; token: {}", server.url(), syncwatch_lab::census::TOKEN);
    println!("Stop it with Ctrl-C.");
    tokio::signal::ctrl_c().await?;
    Ok(())
}

async fn databricks(seed: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("lab.sqlite");
    let mut world = PropertyWorld::as_found(LabClock::wall().now(), seed);
    let _tables = Tables::create(engines::sqlite(&file)?, &mut world).await?;
    let server = DatabricksServer::start(engines::sqlite(&file)?).await?;
    println!("Databricks: {}; token: {}", server.url(), syncwatch_lab::databricks::TOKEN);
    println!("Warehouse: {}. Stop it with Ctrl-C.", syncwatch_lab::databricks::WAREHOUSE_ID);
    tokio::signal::ctrl_c().await?;
    Ok(())
}
