//! The gids that the journal was asked about, and who waits for its answers.

use std::collections::{BTreeMap, BTreeSet};

use tercet_wire::{Gid, Mono, Now};

use crate::engine::input::{ReplyTo, Request};
use crate::invariants::Broken;

/// All of them. A gid stays until the journal has answered, so that no answer is on its way that
/// nobody expects: it could tell of a time that is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Loading {
    asked: BTreeMap<Gid, Load>,
    /// When those who wait are told that the journal does not answer.
    due: BTreeSet<(Mono, Gid)>,
    /// Those of them that are of a page of transactions that were paged out.
    of_page: usize,
    /// Those that have something to do by themselves.
    unasked: usize,
    /// Those that were asked about since they were taken over.
    arrivals: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Load {
    /// None while nobody waits.
    due: Option<Mono>,
    requests: Vec<Request>,
    /// How many of them came before it was asked: the answer is no older than those.
    asked_for: usize,
    of_page: bool,
    /// Whether it was asked about since it has something to do by itself.
    unasked: bool,
    /// Whether it was asked about since it was taken over, so that the answer says so.
    arrival: bool,
}

/// Who waited for the journal to say something of a gid.
#[derive(Debug)]
pub(super) struct Waited {
    /// The requests, in the order they came.
    pub(super) requests: Vec<Request>,
    /// How many of them came before the journal was asked.
    pub(super) asked_for: usize,
    /// Whether it was read as one of a page.
    pub(super) of_page: bool,
    /// Whether the journal was asked since it was taken over.
    pub(super) arrival: bool,
    /// When those who wait are told that the journal does not answer.
    pub(super) due: Option<Mono>,
}

impl Loading {
    pub(super) fn contains(&self, gid: &Gid) -> bool {
        self.asked.contains_key(gid)
    }

    pub(super) fn len(&self) -> usize {
        self.asked.len()
    }

    /// Those of a page that are not answered yet.
    pub(super) fn of_page(&self) -> usize {
        self.of_page
    }

    /// Those that have something to do by themselves and are not answered yet.
    pub(super) fn unasked(&self) -> usize {
        self.unasked
    }

    /// Those that were taken over and are not answered yet.
    pub(super) fn arrivals(&self) -> usize {
        self.arrivals
    }

    /// When the first is told that the journal does not answer.
    pub(super) fn next(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The journal is asked for a request.
    pub(super) fn ask_for(&mut self, request: Request, due: Mono, arrival: bool) {
        let gid = request.gid.clone();
        let requests = vec![request];
        self.ask_again(gid, requests, Some(due), arrival);
    }

    /// The journal is asked about one of a page.
    pub(super) fn ask_of_page(&mut self, gid: Gid, due: Mono) {
        let requests = Vec::new();
        let (of_page, unasked, arrival) = (true, false, false);
        let due = Some(due);
        self.ask(gid, Load { due, requests, asked_for: 0, of_page, unasked, arrival });
    }

    /// The journal is asked about one that has something to do by itself. Nobody waits for it.
    pub(super) fn ask_unasked(&mut self, gid: Gid) {
        let (of_page, unasked, arrival) = (false, true, false);
        let (due, requests) = (None, Vec::new());
        self.ask(gid, Load { due, requests, asked_for: 0, of_page, unasked, arrival });
    }

    /// The journal is asked about one that was taken over. Nobody waits for it.
    pub(super) fn ask_arrival(&mut self, gid: Gid) {
        self.ask_again(gid, Vec::new(), None, true);
    }

    /// The journal is asked again, for those who waited for an answer that was too old to know.
    pub(super) fn ask_again(
        &mut self,
        gid: Gid,
        requests: Vec<Request>,
        due: Option<Mono>,
        arrival: bool,
    ) {
        let (asked_for, of_page, unasked) = (requests.len(), false, false);
        let due = due.filter(|_| !requests.is_empty());
        self.ask(gid, Load { due, requests, asked_for, of_page, unasked, arrival });
    }

    fn ask(&mut self, gid: Gid, load: Load) {
        self.due.extend(load.due.map(|due| (due, gid.clone())));
        self.of_page += usize::from(load.of_page);
        self.unasked += usize::from(load.unasked);
        self.arrivals += usize::from(load.arrival);
        let before = self.asked.insert(gid, load);
        debug_assert!(before.is_none(), "the journal is not asked twice at a time");
    }

    /// Somebody else waits for an answer that is expected already. The journal is not asked
    /// again as yet: its second answer would tell how things stood before what the first one leads
    /// to.
    ///
    /// # Errors
    /// It was not asked: here is the request again.
    pub(super) fn wait(&mut self, request: Request, due: Mono) -> Result<(), Request> {
        let Some(load) = self.asked.get_mut(&request.gid) else { return Err(request) };
        if load.due.is_none() {
            load.due = Some(due);
            self.due.insert((due, request.gid.clone()));
        }
        load.requests.push(request);
        Ok(())
    }

    /// Whoever waits for the answer about this gid waits for nothing that comes after it.
    pub(super) fn stops_waiting(&mut self, gid: &Gid, reply_to: ReplyTo, now: Now) {
        let requests = self.asked.get_mut(gid).map(|load| load.requests.iter_mut());
        if let Some(it) = requests.and_then(|mut all| all.find(|it| it.reply_to == reply_to)) {
            it.wait.give_up = it.wait.give_up.min(now.mono);
        }
    }

    /// Nobody waits beyond this moment for what comes after the answers.
    pub(super) fn nobody_waits_beyond(&mut self, moment: Mono) {
        for request in self.asked.values_mut().flat_map(|load| &mut load.requests) {
            request.wait.give_up = request.wait.give_up.min(moment);
        }
    }

    /// Those who have waited too long. The answer is waited for all the same.
    pub(super) fn take_late(&mut self, now: Mono) -> Option<Vec<Request>> {
        let (at, gid) = self.due.first()?;
        if *at > now {
            return None;
        }
        let load = self.asked.get_mut(gid);
        debug_assert!(load.is_some(), "whoever is due waits for something");
        let requests = load.map(|load| {
            load.due = None;
            load.asked_for = 0;
            self.of_page -= usize::from(std::mem::take(&mut load.of_page));
            std::mem::take(&mut load.requests)
        });
        self.due.pop_first();
        Some(requests.unwrap_or_default())
    }

    /// The journal has answered; none, if it was not asked.
    pub(super) fn take(&mut self, gid: &Gid) -> Option<Waited> {
        let Load { due, requests, asked_for, of_page, unasked, arrival } =
            self.asked.remove(gid)?;
        if let Some(due) = due {
            self.due.remove(&(due, gid.clone()));
        }
        self.of_page -= usize::from(of_page);
        self.unasked -= usize::from(unasked);
        self.arrivals -= usize::from(arrival);
        Some(Waited { requests, asked_for, of_page, arrival, due })
    }

    /// Those who wait for any answer, whatever it will say.
    pub(super) fn take_all_requests(&mut self) -> Vec<Request> {
        self.due.clear();
        let take = |load: &mut Load| {
            load.due = None;
            load.asked_for = 0;
            self.of_page -= usize::from(std::mem::take(&mut load.of_page));
            std::mem::take(&mut load.requests)
        };
        self.asked.values_mut().flat_map(take).collect()
    }

    /// Whether the moments and the numbers are those of all.
    pub(super) fn check(&self) -> Result<(), Broken> {
        let due = self.asked.iter().filter_map(|(gid, load)| Some((load.due?, gid.clone())));
        let of_page = self.asked.values().filter(|load| load.of_page).count();
        let unasked = self.asked.values().filter(|load| load.unasked).count();
        let arrivals = self.asked.values().filter(|load| load.arrival).count();
        let unheard = |load: &Load| load.due.is_none() && !load.requests.is_empty();
        let why = if due.collect::<BTreeSet<_>>() != self.due {
            "somebody waits without end, or nobody for what is due".to_owned()
        } else if of_page != self.of_page {
            format!("{of_page} are of a page, {} are counted", self.of_page)
        } else if unasked != self.unasked {
            format!("{unasked} have something to do, {} are counted", self.unasked)
        } else if arrivals != self.arrivals {
            format!("{arrivals} were taken over, {} are counted", self.arrivals)
        } else if self.asked.values().any(unheard) {
            "a request waits and is not due".to_owned()
        } else {
            return Ok(());
        };
        Err(Broken::IndexDisagrees { part: "loading", why })
    }
}
