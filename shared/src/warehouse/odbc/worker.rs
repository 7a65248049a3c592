//! The thread of a connection.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use odbc_api::handles::StatementImpl;
use odbc_api::{Connection, ConnectionOptions, CursorImpl, environment};
use secrecy::ExposeSecret;

use super::diagnose::{self, Failure};
use super::{bind, connection_string, fetch};
use crate::sql::{self, Answer, Dialect, Error, ErrorKind, Sink, Statement};
use crate::warehouse::settings::OdbcSettings;

/// A job for the thread.
pub(super) type Job = Box<dyn FnOnce(&mut Session<'_>) + Send>;

/// Sends jobs to the thread, which ends after its last job when this is dropped.
pub(super) type Worker = mpsc::Sender<Job>;

/// Starts the thread, which connects at its first job.
pub(super) fn start(settings: Arc<OdbcSettings>, alive: Arc<()>) -> std::io::Result<Worker> {
    let (jobs, inbox) = mpsc::channel::<Job>();
    thread::Builder::new().name("odbc".to_owned()).spawn(move || {
        let mut session = Session { settings: &settings, connection: None };
        for job in inbox {
            job(&mut session);
        }
        drop(session);
        drop(alive);
    })?;
    Ok(jobs)
}

/// A connection, opened on demand.
pub(super) struct Session<'s> {
    settings: &'s OdbcSettings,
    connection: Option<Connection<'static>>,
}

impl Session<'_> {
    /// Runs a query. An idle connection may be dead, which shows only on use: then it retries once on a new one.
    pub(super) fn query(&mut self, statement: &Statement) -> Result<Answer, Error> {
        let was_open = self.connection.is_some();
        let mut ask =
            || self.with_connection(statement, |session, connection| session.ask(connection, statement));
        let answer = match ask() {
            Err(failure) if failure.connection_lost && was_open => ask(),
            first => first,
        };
        answer.map_err(|failure| failure.error)
    }

    /// Runs a query and hands on its rows. Never retries: some may have been handed on.
    pub(super) fn stream(&mut self, statement: &Statement, mut sink: Sink) -> Result<(), Error> {
        let streamed = self.with_connection(statement, |session, connection| {
            session.execute(connection, statement, |cursor| {
                fetch::stream(statement, session.settings, cursor, &mut sink)
            })
        });
        streamed.map(|_| ()).map_err(|failure| failure.error)
    }

    /// Runs writes, in one transaction if the engine has them. Never retries, so it first tests an idle connection.
    pub(super) fn execute_all(&mut self, statements: &[Statement]) -> Result<Vec<Option<u64>>, Error> {
        let Some(first) = statements.first() else { return Ok(Vec::new()) };
        if let Some(connection) = &self.connection
            && connection.execute("SELECT 1", (), self.timeout()).is_err()
        {
            self.connection = None;
        }
        let written =
            self.with_connection(first, |session, connection| session.write(connection, first, statements));
        written.map_err(|failure| failure.error)
    }

    /// Calls `act` with the connection, and drops it if it was lost.
    fn with_connection<T>(
        &mut self,
        statement: &Statement,
        act: impl FnOnce(&Self, &Connection<'static>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect(statement)?,
        };
        let result = act(self, &connection);
        if !result.as_ref().is_err_and(|failure| failure.connection_lost) {
            self.connection = Some(connection);
        }
        result
    }

    fn connect(&self, statement: &Statement) -> Result<Connection<'static>, Failure> {
        let settings = self.settings;
        let failed = |error| diagnose::connecting(statement, settings, &error);
        let text = connection_string::write(settings).map_err(|error| Failure {
            error: ErrorKind::Unreachable { detail: error.to_string() }.of(statement.label()),
            connection_lost: true,
        })?;
        let limit = settings.connect_limit.min(settings.limits.time).as_secs().max(1);
        let login_timeout_sec = Some(u32::try_from(limit).unwrap_or(u32::MAX));
        let options = ConnectionOptions { login_timeout_sec, packet_size: None };
        // One per process; loaded drivers stay loaded.
        let environment = environment().map_err(failed)?;
        let connection =
            environment.connect_with_connection_string(text.expose_secret(), options).map_err(failed)?;
        // Overrides the zone of the server, the database and the role.
        if matches!(settings.dialect, Dialect::PostgreSql | Dialect::Databricks) {
            connection.execute("SET TIME ZONE 'UTC'", (), self.timeout()).map_err(failed)?;
        }
        Ok(connection)
    }

    /// Returns the limit in whole seconds, the only unit of ODBC.
    fn timeout(&self) -> Option<usize> {
        let limit = self.settings.limits.time;
        let seconds = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
        usize::try_from(seconds).ok()
    }

    fn ask(&self, connection: &Connection<'static>, statement: &Statement) -> Result<Answer, Failure> {
        let settings = self.settings;
        let answer = self.execute(connection, statement, |cursor| fetch::all(statement, settings, cursor))?;
        Ok(answer.unwrap_or_else(|| Answer::new(statement, settings.dialect, Vec::new(), Vec::new())))
    }

    /// Executes a statement and reads its answer; `None` if it has none.
    fn execute<T>(
        &self,
        connection: &Connection<'static>,
        statement: &Statement,
        read: impl FnOnce(CursorImpl<StatementImpl<'_>>) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        let settings = self.settings;
        let rendered = sql::render(statement, settings.dialect)?;
        let parameters = bind::parameters(&rendered.values, settings);
        let failed = |error| diagnose::running(statement, settings, &error);
        let cursor = connection.execute(&rendered.sql, &parameters[..], self.timeout()).map_err(failed)?;
        cursor.map(read).transpose()
    }

    fn write(
        &self,
        connection: &Connection<'static>,
        first: &Statement,
        statements: &[Statement],
    ) -> Result<Vec<Option<u64>>, Failure> {
        let settings = self.settings;
        // A single statement is its own transaction.
        let transaction = statements.len() > 1 && settings.dialect.has_transactions();
        let failed = |error| diagnose::running(first, settings, &error);
        if !transaction {
            return statements.iter().map(|statement| self.write_one(connection, statement)).collect();
        }
        connection.set_autocommit(false).map_err(failed)?;
        let written: Result<Vec<_>, _> =
            statements.iter().map(|statement| self.write_one(connection, statement)).collect();
        let ended = if written.is_ok() { connection.commit() } else { connection.rollback() };
        let restored = ended.and_then(|()| connection.set_autocommit(true));
        match (written, restored) {
            (Ok(written), Ok(())) => Ok(written),
            (Ok(_), Err(error)) => Err(Failure { connection_lost: true, ..failed(error) }),
            // Reports the first failure, and drops a connection in an unknown state.
            (Err(failure), restored) => {
                Err(Failure { connection_lost: failure.connection_lost || restored.is_err(), ..failure })
            }
        }
    }

    fn write_one(
        &self,
        connection: &Connection<'static>,
        statement: &Statement,
    ) -> Result<Option<u64>, Failure> {
        let settings = self.settings;
        let rendered = sql::render(statement, settings.dialect)?;
        let parameters = bind::parameters(&rendered.values, settings);
        let failed = |error| diagnose::running(statement, settings, &error);
        let mut prepared = connection.preallocate().map_err(failed)?;
        if let Some(seconds) = self.timeout() {
            // A driver without this limit returns an error; our own limit applies anyway.
            drop(prepared.set_query_timeout_sec(seconds));
        }
        drop(prepared.execute(&rendered.sql, &parameters[..]).map_err(failed)?);
        let count = prepared.row_count().map_err(failed)?;
        Ok(count.and_then(|count| u64::try_from(count).ok()))
    }
}
