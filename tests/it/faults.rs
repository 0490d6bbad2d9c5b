//! PostgreSQL stops, is killed, or takes no writes any more: what needs no store goes on, what does says so, nothing that was
//! answered is lost, and all goes on when it is back.

use tokio::task::block_in_place;

use crate::faults_scene::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_stopped_and_started() {
    let Some(mut scene) = Scene::set().await else { return };
    let mut told = scene.act().await;
    for _ in 0..2 {
        block_in_place(|| scene.postgres.stop());
        scene.serves_without_its_store(&told).await;
        block_in_place(|| scene.postgres.resume());
        scene.goes_on_with_its_store(&told).await;
        told = scene.act().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_killed_and_started() {
    let Some(mut scene) = Scene::set().await else { return };
    let mut told = scene.act().await;
    for _ in 0..2 {
        block_in_place(|| scene.postgres.kill());
        scene.serves_without_its_store(&told).await;
        block_in_place(|| scene.postgres.resume());
        scene.goes_on_with_its_store(&told).await;
        told = scene.act().await;
    }
}

/// As a full disk, a failover to a standby or an operator may make it: it answers, and takes no writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_takes_no_writes() {
    let Some(scene) = Scene::set().await else { return };
    let told = scene.act().await;
    read_only(&scene, "on").await;
    scene.serves_without_its_store(&told).await;
    read_only(&scene, "off").await;
    scene.goes_on_with_its_store(&told).await;
}

/// Whether the whole server takes writes from now on.
async fn read_only(scene: &Scene, state: &str) {
    let url = scene.postgres.url("postgres");
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(url.as_str()).await.unwrap();
    let set = sqlx::AssertSqlSafe(format!("ALTER SYSTEM SET default_transaction_read_only = {state}"));
    sqlx::query(set).execute(&mut connection).await.unwrap();
    sqlx::query("SELECT pg_reload_conf()").execute(&mut connection).await.unwrap();
    // A connection takes it in before its next statement, once the postmaster has read it.
    loop {
        let now: String = sqlx::query_scalar("SHOW default_transaction_read_only")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        if now == state {
            break;
        }
    }
    sqlx::Connection::close(connection).await.unwrap();
}
