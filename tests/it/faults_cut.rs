//! The connection to PostgreSQL is cut in the middle of a commit: the caller receives STORE_UNAVAILABLE, which may mean
//! either; and calls again, which brings about what was wanted, once.

use tokend::proto::v1::revoke_token_request::Target;

use crate::{
    cutter::{Cut, Cutter},
    faults_scene::{Scene, away, begin, refresh, revoke, until_accepted},
    harness::{accepted, assert_refused},
    store_revocations::all,
};

async fn scene() -> Option<(Scene, Cutter)> {
    let mut cutter = None;
    let scene = Scene::set_with(|_, database| {
        let cutter = cutter.insert(Cutter::before(&database.url));
        cutter.url(&database.url).to_string()
    })
    .await?;
    Some((scene, cutter.unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_cut() {
    let Some((scene, cutter)) = scene().await else { return };
    let root = &scene.server.root;
    for (cut, made) in [(Cut::Before, false), (Cut::After, true)] {
        let token = root.token().await;
        let before = all(&scene.server.store).await.len();
        cutter.cut(cut, "COMMIT");
        away(revoke(root, Target::Token(token.clone())).await);
        assert!(cutter.has_cut());
        let now = until_accepted(async || Ok(all(&scene.server.store).await)).await;
        assert_eq!(now.len() > before, made, "{cut:?}");
        until_accepted(async || revoke(root, Target::Token(token.clone())).await).await;
        assert_eq!(all(&scene.server.store).await.len(), before + 1, "{cut:?}");
        assert_refused(root.check(&token).await, tonic::Code::InvalidArgument, "TOKEN_REVOKED");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_session_is_cut() {
    let Some((scene, cutter)) = scene().await else { return };
    let root = &scene.server.root;
    for cut in [Cut::Before, Cut::After] {
        let begun = accepted(begin(root).await);
        cutter.cut(cut, "COMMIT");
        away(revoke(root, Target::Token(begun.refresh_token.clone())).await);
        assert!(cutter.has_cut());
        // Either it holds or it does not; never half of it.
        let followed = scene.server.rounds.make().await;
        let _ = followed.or(scene.server.rounds.make().await);
        let refreshed = refresh(root, &begun.refresh_token).await;
        match cut {
            Cut::Before => {
                let refreshed = accepted(refreshed);
                accepted(root.check(&begun.access_token).await);
                until_accepted(async || revoke(root, Target::Token(refreshed.refresh_token.clone())).await)
                    .await;
            }
            Cut::After => {
                assert_refused(refreshed, tonic::Code::Unauthenticated, "REFRESH_TOKEN_INVALID");
                // What is revoked twice is revoked.
                until_accepted(async || revoke(root, Target::Token(begun.access_token.clone())).await).await;
            }
        }
        assert_refused(root.check(&begun.access_token).await, tonic::Code::InvalidArgument, "TOKEN_REVOKED");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_use_of_a_refresh_token_is_cut() {
    let Some((scene, cutter)) = scene().await else { return };
    let root = &scene.server.root;
    for cut in [Cut::Before, Cut::After] {
        let begun = accepted(begin(root).await);
        cutter.cut(cut, "UPDATE sessions");
        away(refresh(root, &begun.refresh_token).await);
        assert!(cutter.has_cut());
        // The caller has the old token only, and it is answered: with the successor that was made, if one was.
        let again = until_accepted(async || refresh(root, &begun.refresh_token).await).await;
        let next = accepted(refresh(root, &again.refresh_token).await);
        accepted(root.check(&next.access_token).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_beginning_of_a_session_is_cut() {
    let Some((scene, cutter)) = scene().await else { return };
    let root = &scene.server.root;
    for cut in [Cut::Before, Cut::After] {
        cutter.cut(cut, "INSERT INTO sessions");
        away(begin(root).await);
        assert!(cutter.has_cut());
        let begun = until_accepted(async || begin(root).await).await;
        accepted(refresh(root, &begun.refresh_token).await);
    }
    // Of the first two one was stored, whose secret no caller has.
    let filter = tokend::model::SessionFilter::default();
    let now = tokend::model::UnixTime::from_seconds(scene.server.clock.seconds());
    assert_eq!(scene.server.store.sessions_page(&filter, now, None, 10).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_client_is_cut() {
    let Some((scene, cutter)) = scene().await else { return };
    for (cut, name) in [(Cut::Before, "before"), (Cut::After, "after")] {
        let record = crate::store_backends::client(name, vec![]);
        cutter.cut(cut, "COMMIT");
        let answer = scene.server.store.create_client(&record).await;
        assert!(matches!(answer, Err(tokend::store::StoreError::Unavailable(_))), "{answer:?}");
        assert!(cutter.has_cut());
        let again = scene.server.store.create_client(&record).await;
        assert_eq!(again.is_ok(), cut == Cut::Before, "{again:?}");
        assert_eq!(scene.server.store.client(&record.client.client_id).await.unwrap(), record);
    }
}
