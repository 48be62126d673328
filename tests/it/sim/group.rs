//! The group of the simulated broker: members, generations and who is given what, by the classic
//! protocol with cooperative rebalances.

use std::collections::{BTreeMap, BTreeSet};

use crate::sim::broker::{Broker, Code, Shown};
use leadstream::domain::units::Partition;

#[derive(Default)]
pub struct Member {
    owned: BTreeSet<Partition>,
    has_joined: bool,
    pub heard_ms: u64,
    assigned: BTreeSet<Partition>,
}

/// The group: classic protocol, cooperative rebalances.
#[derive(Default)]
pub struct Group {
    pub generation: i32,
    pub members: BTreeMap<u64, Member>,
    members_ever: u64,
    pub is_preparing: bool,
    /// Committed.
    pub offsets: BTreeMap<u32, u64>,
    /// Of transactions that have not ended: when they were added, counted, and the offsets.
    pub pending: BTreeMap<u64, (u64, BTreeMap<u32, u64>)>,
    /// When the committed ones were added.
    pub added: BTreeMap<u32, u64>,
    pub added_ever: u64,
}

impl Broker {
    /// JoinGroup: a member, new where it has no number, tells what it owns.
    pub fn join(&mut self, member: Option<u64>, owned: &BTreeSet<Partition>) -> u64 {
        let known = member.filter(|member| self.group.members.contains_key(member));
        let member = known.unwrap_or_else(|| {
            self.group.members_ever += 1;
            self.group.members_ever
        });
        let heard_ms = self.now_ms;
        let (owned, assigned) = (owned.clone(), BTreeSet::new());
        self.group.members.insert(member, Member { owned, has_joined: true, heard_ms, assigned });
        self.begin_round(member);
        self.finish_round();
        member
    }

    fn begin_round(&mut self, joined: u64) {
        if !self.group.is_preparing {
            self.group.is_preparing = true;
            self.group
                .members
                .iter_mut()
                .filter(|(id, _)| **id != joined)
                .for_each(|(_, member)| member.has_joined = false);
        }
    }

    /// Ends the round once everybody joined: a new generation, in which nobody is given what
    /// another still owns.
    fn finish_round(&mut self) {
        let members = &mut self.group.members;
        if !self.group.is_preparing || !members.values().all(|member| member.has_joined) {
            return;
        }
        self.group.is_preparing = false;
        self.group.generation += 1;
        let count = members.len() as u32;
        if count == 0 {
            return;
        }
        let mut free: Vec<Partition> = Vec::new();
        let owner = |members: &BTreeMap<u64, Member>, partition: &Partition| {
            members.iter().find(|(_, member)| member.owned.contains(partition)).map(|(id, _)| *id)
        };
        let (mut kept, mut target): (BTreeMap<u64, u32>, BTreeMap<Partition, u64>) =
            Default::default();
        let (least, mut more) = (self.partitions / count, self.partitions % count);
        for partition in (0..self.partitions).map(Partition) {
            let Some(owner) = owner(members, &partition) else {
                free.push(partition);
                continue;
            };
            let has = kept.entry(owner).or_default();
            if *has < least || (*has == least && more > 0) {
                more -= u32::from(*has == least);
                *has += 1;
                target.insert(partition, owner);
            } else {
                free.push(partition);
            }
        }
        for partition in free {
            let poorest = members
                .keys()
                .copied()
                .min_by_key(|id| kept.get(id).copied().unwrap_or(0))
                .unwrap();
            *kept.entry(poorest).or_default() += 1;
            target.insert(partition, poorest);
        }
        let may_have = |members: &BTreeMap<u64, Member>, partition: &Partition, to: u64| {
            owner(members, partition).is_none_or(|owner| owner == to)
        };
        let given: Vec<(u64, Partition)> = target
            .into_iter()
            .filter(|(partition, to)| may_have(members, partition, *to))
            .map(|(partition, to)| (to, partition))
            .collect();
        members.values_mut().for_each(|member| member.assigned.clear());
        for (to, partition) in given {
            members.get_mut(&to).unwrap().assigned.insert(partition);
        }
    }

    /// SyncGroup: what a member that joined is given, once the round has ended.
    pub fn sync(&self, member: u64) -> Result<Option<(i32, BTreeSet<Partition>)>, Code> {
        let found = self.group.members.get(&member).ok_or(Code::UnknownMember)?;
        if self.group.is_preparing && !found.has_joined {
            return Err(Code::RebalanceInProgress);
        }
        Ok((!self.group.is_preparing).then(|| (self.group.generation, found.assigned.clone())))
    }

    /// Heartbeat; whether the member has to join again.
    pub fn heartbeat(&mut self, member: u64, generation: i32) -> Result<bool, Code> {
        let now = self.now_ms;
        let found = self.group.members.get_mut(&member).ok_or(Code::UnknownMember)?;
        found.heard_ms = now;
        let has_joined = found.has_joined;
        if self.group.is_preparing {
            return Ok(!has_joined);
        }
        if self.group.generation == generation { Ok(false) } else { Err(Code::IllegalGeneration) }
    }

    /// Whether the group would refuse what a member shows.
    pub fn is_outdated(&self, shown: &Shown) -> bool {
        self.group.generation != shown.generation || !self.group.members.contains_key(&shown.member)
    }

    /// LeaveGroup, or the end of a member's session.
    pub fn leave(&mut self, member: u64) {
        if self.group.members.remove(&member).is_some() {
            self.begin_round(0);
            self.finish_round();
        }
    }
}
