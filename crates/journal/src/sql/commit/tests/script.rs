//! A dialect whose statements say what they are, and a driver that answers from a script.

use sea_orm::{DbBackend, Statement, Value};
use tercet_engine::{Batch, Chunk, TransactionKey};
use tercet_wire::{Gid, Incarnation, Wall};

use super::super::{Answer, CommitMachine, Field, Row, Step};
use crate::sql::{Dialect, SharedDialect, WriteKind, WriteRows};
use crate::store::{CommitError, Life, PurgeBatch};

pub(super) const OWN: Incarnation = Incarnation(7);

/// A dialect of the statements' names and numbers of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names;

fn named(name: String, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Sqlite, name, values)
}

impl Dialect for Names {
    const MAX_BINDS: usize = 1;

    fn fence(self, own: Incarnation, number: i64, _: Wall) -> Statement {
        named(format!("fence {} {number}", own.0), Vec::new())
    }

    fn look(self, _: Incarnation) -> Statement {
        named("look".to_owned(), Vec::new())
    }

    fn holders(self, gids: Vec<Value>) -> Statement {
        named(format!("holders {}", gids.len()), gids)
    }

    fn write(self, kind: WriteKind, rows: WriteRows, own: Incarnation) -> Statement {
        assert_eq!(own, OWN);
        let WriteRows { values, width, rows } = rows;
        // The first two of each row, which its order is told by.
        let firsts = values.chunks(width).flat_map(|row| row[..2].to_vec()).collect();
        named(format!("{} {rows}", kind.as_str()), firsts)
    }

    fn nodes(self) -> Statement {
        unreachable!("no batch asks for nodes")
    }

    fn delete(self, _: &str, _: &PurgeBatch) -> Statement {
        unreachable!("no batch deletes")
    }
}

impl SharedDialect for Names {
    fn leave(self, own: Incarnation, number: i64, _: Wall) -> Statement {
        named(format!("leave {} {number}", own.0), Vec::new())
    }

    fn take(self, own: Incarnation, chunk: &Chunk) -> Statement {
        let names: Vec<&str> = chunk.gids.iter().map(Gid::as_str).collect();
        named(format!("take {} from {} for {}", names.join("+"), chunk.dead.0, own.0), Vec::new())
    }

    fn taken(self, own: Incarnation, gids: &[Gid]) -> Statement {
        named(format!("taken {} by {}", gids.len(), own.0), Vec::new())
    }

    fn register(self, _: &Life, _: Option<Wall>) -> Vec<Statement> {
        unreachable!("no batch registers a life")
    }

    fn mark(self, _: Incarnation, _: i64) -> Statement {
        unreachable!("a marker is no batch")
    }

    fn remove(self, _: Incarnation) -> Statement {
        unreachable!("no batch ends a row")
    }

    fn keep_setting(self, _: &str, _: &str) -> Statement {
        unreachable!("no batch keeps a setting")
    }

    fn unowned(self) -> Statement {
        unreachable!("no batch looks for orphans")
    }
}

/// A machine under way, and all it has said.
pub(super) struct Run<'a> {
    machine: CommitMachine<'a, Names>,
    step: Step,
    pub(super) sent: Vec<String>,
    /// Of each statement in `sent`, what is bound.
    pub(super) bound: Vec<Vec<Value>>,
}

impl<'a> Run<'a> {
    pub(super) fn of(batch: &'a Batch) -> Self {
        let mut machine = CommitMachine::new(Names, OWN, batch).unwrap();
        let step = machine.start();
        let mut run = Self { machine, step, sent: Vec::new(), bound: Vec::new() };
        run.note();
        run
    }

    fn note(&mut self) {
        let (how, statement) = match &self.step {
            Step::Begin(statement) => ("begin with ", Some(statement)),
            Step::Execute(statement) | Step::Query(statement) => ("", Some(statement)),
            Step::Commit => ("COMMIT", None),
            Step::Rollback => ("ROLLBACK", None),
            Step::Done(_) => return,
        };
        let sql = statement.map_or("", |statement| &statement.sql);
        self.sent.push(format!("{how}{sql}"));
        let values = statement.and_then(|statement| statement.values.clone());
        self.bound.push(values.map(|values| values.0).unwrap_or_default());
    }

    /// The step that waits for an answer.
    pub(super) fn step(&self) -> &Step {
        &self.step
    }

    pub(super) fn done(&self) -> Option<&Result<Vec<TransactionKey>, CommitError>> {
        match &self.step {
            Step::Done(done) => Some(done),
            _ => None,
        }
    }

    /// The answer that comes if all is well: as many rows as the statement's name says.
    pub(super) fn good(&self) -> Answer {
        let rows = |statement: &Statement| {
            let count = statement.sql.rsplit(' ').next().unwrap();
            count.parse::<u64>().unwrap_or(1)
        };
        match &self.step {
            Step::Begin(_) => Answer::Changed(1),
            Step::Execute(statement) => Answer::Changed(rows(statement)),
            Step::Query(statement) if statement.sql.starts_with("stay") => {
                let count = i64::try_from(rows(statement)).unwrap();
                Answer::Found(vec![vec![Field::Integer(count)]])
            }
            Step::Query(_) => Answer::Found(Vec::new()),
            Step::Commit | Step::Rollback | Step::Done(_) => Answer::Ended,
        }
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        self.step = self.machine.next(answer);
        self.note();
    }

    /// All goes well from here on.
    pub(super) fn finish(mut self) -> (Vec<String>, Result<Vec<TransactionKey>, CommitError>) {
        while self.done().is_none() {
            let good = self.good();
            self.answer(good);
        }
        let Step::Done(done) = self.step else { unreachable!("it is done") };
        (self.sent, done)
    }
}

pub(super) fn text(text: &str) -> Field {
    Field::Text(text.to_owned())
}

/// What the node's row says.
pub(super) fn node(state: &str, last: i64) -> Vec<Row> {
    vec![vec![text(state), Field::Integer(last)]]
}
