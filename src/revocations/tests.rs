//! Compares the set with a plain model.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    Kind,
    entry::{self, Key},
    set::Set,
};
use crate::model::{
    ChangeSequence, ClientId, Revocation, RevocationRecord, RevocationTarget, SessionId, TokenClaims,
    UnixTime,
};

const START: i64 = 1_767_225_600;

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(START + seconds)
}

/// An id of the form that tokend generates.
fn id(number: u8) -> String {
    entry::encode([number; 16])
}

/// One of a few targets of every kind, foreign token ids among them.
fn target() -> impl Strategy<Value = RevocationTarget> {
    let before = -20_i64..60;
    prop_oneof![
        4 => (0_u8..12).prop_map(|number| RevocationTarget::Token(id(number))),
        1 => (0_u8..4).prop_map(|number| RevocationTarget::Token(format!("foreign {number}"))),
        3 => (0_u8..12).prop_map(|number| RevocationTarget::Session(SessionId::parse(id(number)).unwrap())),
        1 => (0_u8..4, before.clone()).prop_map(|(number, before)| {
            RevocationTarget::Subject(format!("user-{number}"), at(before))
        }),
        1 => (0_u8..4, before.clone()).prop_map(|(number, before)| {
            RevocationTarget::Client(ClientId::parse(format!("client-{number}")).unwrap(), at(before))
        }),
        1 => before.prop_map(|before| RevocationTarget::Everything(at(before))),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    /// A revocation that expires after so many seconds, or never.
    Revoke(RevocationTarget, Option<i64>),
    /// The next one again: a page that is read twice.
    Again,
    Pass(i64),
    CleanUp(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (target(), prop::option::weighted(0.8, 1_i64..40)).prop_map(|(target, life)| Step::Revoke(target, life)),
        1 => Just(Step::Again),
        2 => (0_i64..15).prop_map(Step::Pass),
        2 => any::<usize>().prop_map(Step::CleanUp),
    ]
}

/// The rows of the store: one record for each target, extended by each revocation of the target.
#[derive(Default)]
struct Model(BTreeMap<String, RevocationRecord>);

impl Model {
    fn revoke(&mut self, revocation: Revocation, sequence: i64) -> RevocationRecord {
        let key = format!("{:?}", Key::of_target(&revocation.target));
        let revocation = match self.0.get(&key) {
            Some(held) => held.revocation.clone().widened_by(&revocation),
            None => revocation,
        };
        let record = RevocationRecord { sequence: ChangeSequence(sequence), revocation };
        self.0.insert(key, record.clone());
        record
    }

    fn live(&self, now: UnixTime) -> impl Iterator<Item = &RevocationRecord> {
        self.0.values().filter(move |record| !record.revocation.has_expired(now))
    }

    fn revokes(&self, claims: &TokenClaims, own: bool, now: UnixTime) -> bool {
        let issued = match (claims.issue_time, claims.origin_time) {
            (Some(issued), Some(origin)) => Some(issued.min(origin)),
            (issued, _) => issued,
        };
        let reaches = |before: &UnixTime| issued.is_none_or(|issued| issued < *before);
        self.live(now).any(|record| match &record.revocation.target {
            RevocationTarget::Token(jwt_id) => claims.jwt_id.as_ref() == Some(jwt_id),
            RevocationTarget::Session(session_id) => {
                own && claims.session_id.as_deref() == Some(session_id.as_str())
            }
            RevocationTarget::Subject(subject, before) => {
                own && claims.subject == *subject && reaches(before)
            }
            RevocationTarget::Client(client_id, before) => {
                own && claims.client_id.as_deref() == Some(client_id.as_str()) && reaches(before)
            }
            RevocationTarget::Everything(before) => own && reaches(before),
        })
    }

    fn between(&self, after: i64, up_to: i64, now: UnixTime) -> Vec<RevocationRecord> {
        let mut records: Vec<_> = self
            .live(now)
            .filter(|record| record.sequence.0 > after && record.sequence.0 <= up_to)
            .cloned()
            .collect();
        records.sort_by_key(|record| record.sequence);
        records
    }
}

fn claims() -> impl Strategy<Value = TokenClaims> {
    let jwt_id =
        prop_oneof![(0_u8..14).prop_map(id), (0_u8..5).prop_map(|number| format!("foreign {number}"))];
    (
        prop::option::of(jwt_id),
        prop::option::of((0_u8..14).prop_map(id)),
        0_u8..5,
        prop::option::of(0_u8..5),
        prop::option::weighted(0.8, -25_i64..65),
        prop::option::weighted(0.3, -25_i64..65),
    )
        .prop_map(|(jwt_id, session_id, subject, client, issued, origin)| TokenClaims {
            issuer: "https://tokend.test".to_owned(),
            subject: format!("user-{subject}"),
            audiences: vec!["orders".to_owned()],
            expire_time: at(10_000),
            not_before_time: None,
            issue_time: issued.map(at),
            jwt_id,
            client_id: client.map(|client| format!("client-{client}")),
            scopes: Vec::new(),
            actor: None,
            session_id,
            origin_time: origin.map(at),
        })
}

/// Everything after a change and up to another, page by page.
fn pages(set: &Set, after: i64, up_to: i64, now: UnixTime) -> Vec<RevocationRecord> {
    let (mut found, mut after) = (Vec::new(), ChangeSequence(after));
    while after.0 < up_to {
        let page = set.page(after, ChangeSequence(up_to), now);
        assert!(page.complete > after && page.complete.0 <= up_to, "{page:?}");
        assert!(
            page.records.iter().all(|record| record.sequence > after && record.sequence <= page.complete)
        );
        found.extend(page.records);
        after = page.complete;
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_set_equals_the_model(
        steps in prop::collection::vec(step(), 1..120),
        asked in prop::collection::vec((claims(), any::<bool>()), 12),
        small in any::<bool>(),
    ) {
        let (set, mut model) = (if small { Set::small() } else { Set::new() }, Model::default());
        let (mut now, mut sequence, mut last) = (at(0), 0, None);
        for step in steps {
            match step {
                Step::Revoke(target, life) => {
                    sequence += 1;
                    let expire_time = life.map(|life| UnixTime::from_seconds(now.seconds() + life));
                    let record = model.revoke(Revocation { target, revoke_time: now, expire_time }, sequence);
                    set.insert(record.clone(), now);
                    last = Some(record);
                }
                Step::Again => if let Some(record) = last.clone() { set.insert(record, now) },
                Step::Pass(seconds) => now = UnixTime::from_seconds(now.seconds() + seconds),
                Step::CleanUp(part) => set.clean_up(part % set.shards(), now),
            }
            for (claims, own) in &asked {
                prop_assert_eq!(set.revokes(claims, *own, now), model.revokes(claims, *own, now), "{:?}", claims);
            }
        }
        for after in (0..=sequence).step_by(5) {
            prop_assert_eq!(pages(&set, after, sequence, now), model.between(after, sequence, now));
            prop_assert_eq!(pages(&set, 0, after, now), model.between(0, after, now));
        }
        (0..set.shards()).for_each(|part| set.clean_up(part, now));
        for (kind, live) in set.live() {
            let wanted = |record: &&RevocationRecord| Key::of_target(&record.revocation.target).kind() == kind;
            prop_assert_eq!(live, model.live(now).filter(wanted).count(), "{:?}", kind);
        }
    }
}

fn token(number: u64) -> RevocationTarget {
    let mut bytes = [0; 16];
    bytes.first_chunk_mut::<8>().unwrap().copy_from_slice(&number.to_be_bytes());
    RevocationTarget::Token(entry::encode(bytes))
}

fn record(sequence: i64, target: RevocationTarget, expire_time: Option<UnixTime>) -> RevocationRecord {
    let revocation = Revocation { target, revoke_time: at(0), expire_time };
    RevocationRecord { sequence: ChangeSequence(sequence), revocation }
}

#[test]
fn an_entry_takes_at_most_sixty_bytes_and_none_when_it_has_expired() {
    let (set, empty) = (Set::new(), Set::new().bytes());
    for number in 0..200_000 {
        let end = at(if number < 100_000 { 10 } else { 20 });
        set.insert(record(number + 1, token(number.cast_unsigned()), Some(end)), at(0));
    }
    assert_eq!(set.live().map(|(kind, live)| (kind.name(), live))[0], ("token", 200_000));
    let full = set.bytes() - empty;
    assert!((32 * 200_000..60 * 200_000).contains(&full), "{full}");
    (0..set.shards()).for_each(|part| set.clean_up(part, at(10)));
    assert_eq!(set.live()[Kind::Token as usize].1, 100_000);
    assert!(set.bytes() - empty < 60 * 100_000, "{}", set.bytes() - empty);
    assert_eq!(pages(&set, 0, 200_000, at(10)).len(), 100_000);
    (0..set.shards()).for_each(|part| set.clean_up(part, at(20)));
    assert_eq!(set.bytes(), empty);
}

#[test]
fn revocations_that_expire_after_2106_are_kept_for_ever() {
    let set = Set::new();
    let far = UnixTime::from_seconds(i64::from(u32::MAX) + 5);
    set.insert(record(1, token(1), Some(far)), at(0));
    set.insert(record(2, token(2), None), at(0));
    let kept = set.page(ChangeSequence(0), ChangeSequence(2), UnixTime::MAX).records;
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!(kept[0].revocation.expire_time, None);
}

#[test]
fn the_newer_of_two_is_kept_in_either_order() {
    let set = Set::small();
    let subject = |before| RevocationTarget::Subject("alice".to_owned(), at(before));
    set.insert(record(7, subject(50), Some(at(100))), at(0));
    set.insert(record(5, subject(10), Some(at(90))), at(0));
    assert_eq!(set.get(&subject(0)), Some(record(7, subject(50), Some(at(100)))));
}
