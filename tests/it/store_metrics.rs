//! The metrics of the store's actions.

use tokend::metrics::MetricsRegistry;

use crate::store_backends::{
    self, add_secret, at, client, ensure_key, id, key, sealing_key, secret, stored_keys,
};

#[tokio::test]
async fn durations_and_errors_are_counted_by_action() {
    let backend = store_backends::memory().await.unwrap();
    let store = backend.store;
    let mut metrics = MetricsRegistry::default();
    store.register_metrics(&mut metrics);

    store.create_client(&client("billing", vec![])).await.unwrap();
    store.create_client(&client("billing", vec![])).await.unwrap_err();
    store.client(&id("nobody")).await.unwrap_err();
    let text = metrics.write().unwrap();
    for line in [
        "# TYPE tokend_store_action_duration_seconds histogram",
        "# TYPE tokend_store_errors counter",
        "tokend_store_action_duration_seconds_count{action=\"create_client\"} 2",
        "tokend_store_action_duration_seconds_count{action=\"client\"} 1",
        // `AlreadyExists` and `NotFound` are results, and no failures of the store.
        "tokend_store_errors_total{action=\"create_client\"} 0",
        "tokend_store_errors_total{action=\"client\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("_count{action=\"keys\"}"), "an action that was not executed has no metric");

    store.close().await;
    store.create_client(&client("billing", vec![])).await.unwrap_err();
    assert!(metrics.write().unwrap().contains("tokend_store_errors_total{action=\"create_client\"} 1"));
}

#[tokio::test]
async fn each_action_is_counted_under_its_name() {
    let backend = store_backends::memory().await.unwrap();
    let store = backend.store;
    let mut metrics = MetricsRegistry::default();
    store.register_metrics(&mut metrics);
    let billing = id("billing");

    store.create_client(&client("billing", vec![])).await.unwrap();
    store.put_client(&client("billing", vec![])).await.unwrap();
    add_secret(&store, &billing, &secret(1, 1, None), at(2)).await.unwrap();
    assert_eq!(store.clients().await.unwrap(), [store.client(&billing).await.unwrap()]);
    assert_eq!(store.clients_page(None, 1).await.unwrap().len(), 1);
    assert_eq!(store.clients_page(Some(&billing), 1).await.unwrap().len(), 0);
    let mut known = store.client(&billing).await.unwrap().client;
    assert!(store.update_client(&known, known.version()).await.unwrap());
    known.revision += 1;
    store.delete_client(&billing).await.unwrap();
    assert!(!store.delete_client_version(&billing, known.version()).await.unwrap());
    ensure_key(&store, &key("key", 1)).await.unwrap();
    assert_eq!(stored_keys(&store).await, [key("key", 1)]);
    let wrapped = store.ensure_sealing_key(&sealing_key(1, "vault"), None).await.unwrap();
    assert_eq!(store.sealing_keys().await.unwrap(), [wrapped]);
    assert_eq!(store.change_sequence().await.unwrap().0, 7);

    let text = metrics.write().unwrap();
    for (action, count) in [
        ("change_sequence", 1),
        ("keys", 3),
        ("change_keys", 1),
        ("sealing_keys", 1),
        ("ensure_sealing_key", 1),
        ("clients", 1),
        ("client", 3),
        ("clients_page", 2),
        ("create_client", 1),
        ("put_client", 1),
        ("update_client", 1),
        ("delete_client", 1),
        ("delete_client_version", 1),
        ("add_client_secret", 1),
    ] {
        let line = format!("tokend_store_action_duration_seconds_count{{action=\"{action}\"}} {count}");
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
