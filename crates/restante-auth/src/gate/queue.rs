//! Who is next: one lane per tenant, lanes in turn.
//!
//! Pure: knows no threads and no time. Start at [`Queue::next`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use restante_types::TenantId;

use crate::NameKey;

/// Verifications that run at the same time for clients of one network.
const PER_NETWORK: usize = 2;
/// Work of low priority that may wait.
const LATER: usize = 64;

/// For whom something is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Whose turn it takes; unknown names share one.
    pub(crate) tenant: Option<TenantId>,
    /// Which account: one computation at a time.
    pub(crate) name: Option<NameKey>,
    /// From which network: two computations at a time.
    pub(crate) network: IpAddr,
}

/// Which place in the queue something has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// Work whose turn it is. Its place is to be given back with [`Queue::done`].
#[derive(Debug)]
pub(super) struct Turn<W> {
    /// `None` for work of low priority.
    pub(super) place: Option<Place>,
    pub(super) work: W,
}

/// What waits and what runs.
pub(super) struct Queue<W> {
    /// Lanes in which something waits; the one that was served longest ago is first.
    lanes: VecDeque<Lane<W>>,
    later: VecDeque<W>,
    names: HashSet<NameKey>,
    networks: HashMap<IpAddr, usize>,
    waiting: usize,
    running: usize,
    capacity: usize,
    last: u64,
}

struct Lane<W> {
    tenant: Option<TenantId>,
    waiting: VecDeque<Waiting<W>>,
}

struct Waiting<W> {
    ticket: Ticket,
    place: Place,
    work: W,
}

impl<W> Queue<W> {
    /// An empty queue for so much that waits or runs.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            lanes: VecDeque::new(),
            later: VecDeque::new(),
            names: HashSet::new(),
            networks: HashMap::new(),
            waiting: 0,
            running: 0,
            capacity,
            last: 0,
        }
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Lets something wait. In a full queue the newest of the longest lane gives way to a shorter lane, so that no
    /// tenant can fill the queue against another; what gave way is the second value. An error if nothing gives way.
    pub(super) fn push(&mut self, place: Place, work: W) -> Result<(Ticket, Option<W>), W> {
        let mut gave_way = None;
        if self.waiting + self.running >= self.capacity {
            match self.give_way(place.tenant) {
                Some(other) => gave_way = Some(other),
                None => return Err(work),
            }
        }
        self.last += 1;
        let ticket = Ticket(self.last);
        let waiting = Waiting { ticket, place, work };
        match self.lanes.iter_mut().find(|lane| lane.tenant == place.tenant) {
            Some(lane) => lane.waiting.push_back(waiting),
            None => self.lanes.push_back(Lane {
                tenant: place.tenant,
                waiting: VecDeque::from([waiting]),
            }),
        }
        self.waiting += 1;
        Ok((ticket, gave_way))
    }

    /// Lets something wait until nothing else does. An error if too much waits so.
    pub(super) fn push_later(&mut self, work: W) -> Result<(), W> {
        if self.later.len() >= LATER {
            return Err(work);
        }
        self.later.push_back(work);
        Ok(())
    }

    /// The next that may run: of the lane that was served longest ago, the oldest whose account and network leave room.
    pub(super) fn next(&mut self) -> Option<Turn<W>> {
        let turn = self.next_in_turn().or_else(|| self.next_later())?;
        self.running += 1;
        if let Some(place) = &turn.place {
            self.names.extend(place.name);
            *self.networks.entry(place.network).or_default() += 1;
        }
        Some(turn)
    }

    /// Something that had its turn has ended.
    pub(super) fn done(&mut self, place: Option<&Place>) {
        self.running -= 1;
        let Some(place) = place else { return };
        if let Some(name) = &place.name {
            self.names.remove(name);
        }
        if let Some(running) = self.networks.get_mut(&place.network) {
            *running -= 1;
            if *running == 0 {
                self.networks.remove(&place.network);
            }
        }
    }

    /// Takes back what waits; `None` if it had its turn or gave way.
    pub(super) fn withdraw(&mut self, ticket: Ticket) -> Option<W> {
        let (lane, at) = self.lanes.iter().enumerate().find_map(|(lane, waiting)| {
            let at = waiting.waiting.iter().position(|one| one.ticket == ticket)?;
            Some((lane, at))
        })?;
        Some(self.take(lane, at)?.work)
    }

    /// Takes out everything that waits.
    pub(super) fn clear(&mut self) -> Vec<W> {
        self.waiting = 0;
        let lanes = self.lanes.drain(..).flat_map(|lane| lane.waiting);
        let mut all: Vec<W> = lanes.map(|waiting| waiting.work).collect();
        all.extend(self.later.drain(..));
        all
    }

    fn next_in_turn(&mut self) -> Option<Turn<W>> {
        let (index, at) = self.lanes.iter().enumerate().find_map(|(index, lane)| {
            let at = lane.waiting.iter().position(|one| self.may_run(&one.place))?;
            Some((index, at))
        })?;
        let Waiting { place, work, .. } = self.take(index, at)?;
        // The lane was served: the others come first now.
        if let Some(after) = self.lanes.iter().position(|lane| lane.tenant == place.tenant)
            && let Some(lane) = self.lanes.remove(after)
        {
            self.lanes.push_back(lane);
        }
        Some(Turn {
            place: Some(place),
            work,
        })
    }

    fn next_later(&mut self) -> Option<Turn<W>> {
        if self.waiting > 0 {
            return None;
        }
        let work = self.later.pop_front()?;
        Some(Turn { place: None, work })
    }

    fn may_run(&self, place: &Place) -> bool {
        let name_is_free = place.name.is_none_or(|name| !self.names.contains(&name));
        let running = self.networks.get(&place.network).copied().unwrap_or(0);
        name_is_free && running < PER_NETWORK
    }

    fn give_way(&mut self, tenant: Option<TenantId>) -> Option<W> {
        let own = self.lanes.iter().find(|lane| lane.tenant == tenant);
        let own = own.map_or(0, |lane| lane.waiting.len());
        let lanes = self.lanes.iter().enumerate();
        let (index, longest) = lanes.max_by_key(|(_, lane)| lane.waiting.len())?;
        let newest = longest.waiting.len().checked_sub(1)?;
        if newest <= own {
            return None;
        }
        Some(self.take(index, newest)?.work)
    }

    /// Takes one out; a lane in which nothing waits any more goes.
    fn take(&mut self, index: usize, at: usize) -> Option<Waiting<W>> {
        let lane = self.lanes.get_mut(index)?;
        let taken = lane.waiting.remove(at)?;
        if lane.waiting.is_empty() {
            self.lanes.remove(index);
        }
        self.waiting -= 1;
        Some(taken)
    }
}
