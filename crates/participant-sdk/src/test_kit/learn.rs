//! What a Try and a Confirm change is not asked, but seen.

use tercet_wire::Op;

use super::balances::Balances;
use super::bench::Bench;
use super::caller::Twist;
use super::error::KitError;
use super::rule::Rule;
use super::scenario::{Role, Scenario};
use super::session::Session;

impl Bench<'_> {
    /// Learns what a Try and a Confirm change. False if there is nothing to go by.
    pub(super) async fn learn(&mut self) -> Result<bool, KitError> {
        let mut session = self.learn_one(Rule::TryReserves).await?;
        if let Some((expected, seen)) = self.call(&mut session, 0, Op::Try, Twist::None).await {
            let sent = session.sent.join("; ");
            return Err(KitError::NoTry { sent: format!("{sent} (expected {expected}, {seen})") });
        }
        let (tried, now) = self.settled(&mut session, |change| !change.is_nothing()).await?;
        if tried.is_nothing() {
            let expected = "a change of the balances".to_owned();
            session.breach(self.report, Rule::TryReserves, expected, tried.to_string());
            return Ok(false);
        }
        if let Some(name) = self.kit.reserved.iter().find(|name| tried.get(name) <= 0) {
            let expected = format!("more {name} than before");
            session.breach(self.report, Rule::TryReserves, expected, tried.to_string());
        }
        if let Some((expected, seen)) = self.sums(&now) {
            session.breach(self.report, Rule::Sums, expected, seen);
        }
        self.effects.tried = tried;
        session.rule = Rule::CancelReleases;
        let breach = match self.call(&mut session, 0, Op::Cancel, Twist::None).await {
            None => self.compare(&mut session).await?,
            breach => breach,
        };
        if let Some((expected, seen)) = breach {
            session.breach(self.report, session.rule, expected, seen);
        }

        let mut session = self.learn_one(Rule::ConfirmTakes).await?;
        for op in [Op::Try, Op::Confirm] {
            if let Some((expected, seen)) = self.call(&mut session, 0, op, Twist::None).await {
                session.breach(self.report, session.rule, expected, seen);
                return Ok(false);
            }
            // A second Try that changes something else is not its Confirm's fault.
            if op == Op::Try
                && let Some((expected, seen)) = self.compare(&mut session).await?
            {
                session.breach(self.report, Rule::TryReserves, expected, seen);
                return Ok(false);
            }
        }
        let tried = self.effects.tried.clone();
        let reserved = &self.kit.reserved;
        let is_taken = |change: &Balances| {
            *change != tried
                && !change.is_nothing()
                && reserved.iter().all(|name| change.get(name) == 0)
        };
        let (confirmed, _) = self.settled(&mut session, is_taken).await?;
        if !is_taken(&confirmed) {
            let expected =
                format!("neither no change nor that of Try ({tried}), and nothing reserved");
            session.breach(self.report, session.rule, expected, confirmed.to_string());
        }
        self.effects.confirmed = confirmed;
        Ok(true)
    }

    async fn learn_one(&mut self, rule: Rule) -> Result<Session, KitError> {
        let scenario = Scenario { rule, cast: vec![Role::USUAL], steps: Vec::new() };
        self.session(&scenario).await
    }
}
