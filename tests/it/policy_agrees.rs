//! `tokend policy explain` and the server agree: about any permissions and any request, on whether it is allowed, and on why not.

use std::collections::BTreeMap;

use prop::{collection::vec, sample::select, sample::subsequence};
use proptest::{prelude::*, test_runner::TestRunner};
use tokend::proto::v1;

use crate::{
    harness::seconds,
    policy_scene::{
        AUDIENCES, Actor, Ask, FOREIGN, May, OWNERS, REVOCABLE, SCOPES, SELF, SUBJECTS, Scene, Target, Token,
        USERS, Wish,
    },
};

const METHODS: [&str; 12] = [
    "TokenService/IssueToken",
    "TokenService/VerifyToken",
    "TokenService/IntrospectToken",
    "TokenService/Login",
    "TokenService/RefreshToken",
    "TokenService/RevokeToken",
    "TokenService/ExchangeToken",
    "TokenService/BatchVerifyTokens",
    "KeyService/List*",
    "ClientService/ListClients",
    "TokenService/I*",
    "User*",
];

/// Subjects as the server's own tokens name them, those of the other issuer too.
const EXCHANGED: [&str; 5] =
    ["alice", "bob", "user:7", "foreign:https://old.test#alice", "foreign:https://old.test#user:7"];

/// Patterns of which each matches something in `pool`; often enough all that there is.
fn patterns(pool: &[&'static str]) -> impl Strategy<Value = Vec<String>> + use<> {
    let one = select(pool.to_vec()).prop_flat_map(|text| {
        prop_oneof![
            4 => Just(text.to_owned()),
            2 => (1..=text.len()).prop_map(move |end| format!("{}*", &text[..end])),
            1 => Just("*".to_owned()),
        ]
    });
    prop_oneof![2 => Just(vec!["*".to_owned()]), 3 => vec(one, 0..=3)]
}

fn matches(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => text.starts_with(prefix),
        None => pattern == text,
    })
}

fn some(pool: &[&'static str]) -> impl Strategy<Value = Vec<String>> + use<> {
    let most = pool.len().min(2);
    subsequence(pool.to_vec(), 0..=most).prop_map(|texts| texts.into_iter().map(str::to_owned).collect())
}

fn life() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![1 => Just(None), 1 => select(vec![60, 300, 301, 600, 900, 901]).prop_map(Some)]
}

fn may() -> impl Strategy<Value = May> {
    let methods = subsequence(METHODS.to_vec(), 8..=METHODS.len());
    let tokens =
        (patterns(&AUDIENCES), patterns(&SCOPES), patterns(&SUBJECTS), patterns(&["tenant", "level"]));
    let others =
        (patterns(&AUDIENCES), patterns(&USERS.map(|user| user.0)), patterns(&REVOCABLE), patterns(&OWNERS));
    let exchanges = (
        patterns(&EXCHANGED),
        patterns(&AUDIENCES),
        patterns(&[FOREIGN]),
        prop::bool::weighted(0.6),
        patterns(&EXCHANGED),
    );
    let rest = (
        select(vec![300, 600, 3600]),
        any::<bool>(),
        some(&["viewer", "key-admin"]),
        some(&AUDIENCES),
        prop::option::weighted(0.2, select(vec!["ES256", "EdDSA"])),
    );
    (methods, tokens, others, exchanges, rest).prop_map(|(methods, tokens, others, exchanges, rest)| {
        let (max_ttl, restricted, roles, mut default_audiences, algorithm) = rest;
        default_audiences.retain(|audience| matches(&tokens.0, audience));
        let acme = v1::ClaimCondition { claim: "tenant".to_owned(), values: vec!["acme".to_owned()] };
        let restricts = restricted && matches(&tokens.3, "tenant");
        let claim_values = if restricts { vec![acme] } else { Vec::new() };
        let permissions = v1::Permissions {
            methods: methods.into_iter().map(str::to_owned).collect(),
            audiences: tokens.0,
            scopes: tokens.1,
            subjects: tokens.2,
            claims: tokens.3,
            max_ttl: seconds(max_ttl),
            verify_audiences: others.0,
            claim_values,
            login_usernames: others.1,
            roles,
            revoke_subjects: others.2,
            revoke_clients: others.3,
            exchange_subjects: exchanges.0,
            exchange_audiences: exchanges.1,
            exchange_issuers: exchanges.2,
            impersonate: exchanges.3,
            exchange_actors: exchanges.4,
            verify_issuers: Vec::new(),
            admin_clients: Vec::new(),
        };
        May { permissions, default_audiences, algorithm: algorithm.unwrap_or_default().to_owned() }
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    let scopes = prop_oneof![Just(Vec::new()), some(&SCOPES)];
    (some(&AUDIENCES), scopes, life()).prop_map(|(audiences, scopes, life)| Wish { audiences, scopes, life })
}

fn claims() -> impl Strategy<Value = String> {
    select(vec!["", r#"{"tenant":"acme"}"#, r#"{"tenant":"evil"}"#, r#"{"level":3}"#]).prop_map(str::to_owned)
}

fn subject() -> impl Strategy<Value = String> {
    select([&SUBJECTS[..], &[SELF]].concat()).prop_map(str::to_owned)
}

/// One audience at least.
fn audiences() -> impl Strategy<Value = Vec<String>> {
    subsequence([&AUDIENCES[..], &[SELF]].concat(), 1..=2)
        .prop_map(|texts| texts.into_iter().map(str::to_owned).collect())
}

fn token() -> impl Strategy<Value = Token> {
    let issuer = prop_oneof![3 => Just(false), 1 => Just(true)];
    (subject(), audiences(), some(&SCOPES), issuer).prop_map(|(subject, audiences, scopes, foreign)| Token {
        subject,
        audiences,
        scopes,
        foreign,
    })
}

/// What a session was begun with.
fn begun() -> impl Strategy<Value = Wish> {
    let audiences = subsequence(AUDIENCES.to_vec(), 1..=3);
    (some(&SCOPES), audiences).prop_map(|(scopes, audiences)| Wish {
        audiences: audiences.into_iter().map(str::to_owned).collect(),
        scopes,
        life: None,
    })
}

fn ask() -> impl Strategy<Value = Ask> {
    let may_act = prop_oneof![
        3 => Just(None),
        1 => (select(vec![SELF, "alice", "bob"]), select(vec!["", FOREIGN, crate::harness::ISSUER])).prop_map(Some),
    ];
    let actor = prop_oneof![Just(Actor::Nobody), Just(Actor::Own), token().prop_map(Actor::Other)];
    let target = prop_oneof![
        4 => (any::<bool>(), select([&OWNERS[..], &[SELF]].concat()), select([&REVOCABLE[..], &[SELF]].concat()))
            .prop_map(|(session, client, subject)| Target::One { session, client, subject }),
        1 => Just(Target::Foreign),
        1 => Just(Target::JwtId),
        1 => select([&REVOCABLE[..], &[SELF]].concat()).prop_map(Target::Subject),
        1 => select([&OWNERS[..], &[SELF]].concat()).prop_map(Target::Client),
    ];
    let user = 0..USERS.len();
    prop_oneof![
        (prop::option::of(subject()), wish(), claims(), prop::bool::weighted(0.3))
            .prop_map(|(subject, wish, claims, refresh)| Ask::Issue { subject, wish, claims, refresh }),
        some(&AUDIENCES).prop_map(Ask::Verify),
        some(&AUDIENCES).prop_map(Ask::Introspect),
        select(vec![
            "KeyService/ListKeys",
            "ClientService/ListClients",
            "UserService/ListUsers",
            "SessionService/ListSessions",
            "TokenService/BatchVerifyTokens",
        ])
        .prop_map(Ask::Call),
        (user.clone(), wish(), prop::bool::weighted(0.3)).prop_map(|(user, wish, refresh)| Ask::Login {
            user,
            wish,
            refresh
        }),
        (subject(), begun(), claims(), wish()).prop_map(|(subject, begun, claims, wish)| Ask::Refresh {
            subject,
            begun,
            claims,
            wish
        }),
        (user, begun(), wish()).prop_map(|(user, begun, wish)| Ask::RefreshLogin { user, begun, wish }),
        target.prop_map(Ask::Revoke),
        (token(), may_act, actor, wish()).prop_map(|(token, may_act, actor, wish)| Ask::Exchange {
            token,
            may_act,
            actor,
            wish
        }),
    ]
}

#[test]
fn what_is_explained_is_what_the_server_answers() {
    let scene = Scene::start();
    let config =
        ProptestConfig { cases: 32, max_shrink_iters: 60, failure_persistence: None, ..Default::default() };
    let met = std::cell::RefCell::new(BTreeMap::<(&str, bool), u32>::new());
    TestRunner::new(config)
        .run(&(may(), vec(ask(), 20..30)), |(may, asks)| {
            for told in scene.ask(&may, &asks) {
                prop_assert_eq!(&told.explained, &told.answered, "{:?}", told.arguments);
                *met.borrow_mut().entry((told.what, told.answered.is_ok())).or_default() += 1;
            }
            Ok(())
        })
        .unwrap();
    // Nothing of this was said about one side only.
    let met = met.into_inner();
    for what in ["issue", "verify", "introspect", "call", "login", "refresh", "revoke", "exchange"] {
        for allowed in [true, false] {
            assert!(met.contains_key(&(what, allowed)), "{what} {allowed}: {met:?}");
        }
    }
}
