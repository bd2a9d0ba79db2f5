//! Isolation: callers outside the mesh see the namespace `user` of their tenant; services of the mesh also see
//! `results`.

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use tonic::Code;

use super::caller::{Caller, Failure, entry, lease, owned, set};
use super::replicas::{Replicas, everywhere};

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_isolated() {
    everywhere(&[], async |replicas: &Replicas| {
        // Two of these would collide if names were only concatenated.
        let tenants = ["", "acme", "acme:user/a", "acme_3auser_2fa", "acme:user", "ACME", "a b"];
        let callers = tenants.map(|tenant| Caller::tenant(&replicas.a.service, tenant));
        for (tenant, caller) in tenants.iter().zip(&callers) {
            for key in ["user/a", "user/a:user/a", "user/user/a"] {
                assert_eq!(caller.get(key).await, None, "{tenant:?} {key}");
                caller.put(key, tenant, &["t"]).await;
            }
        }
        for (tenant, caller) in tenants.iter().zip(&callers) {
            assert_eq!(caller.get("user/a").await.as_deref(), Some(*tenant));
        }
        let [_, acme, other, ..] = &callers;
        // An entry of another tenant is not found, and cannot be deleted.
        acme.put("user/mine", "v", &["t"]).await;
        assert_eq!(other.get("user/mine").await, None);
        assert!(!other.delete("user/mine").await);
        let generations = async |caller: &Caller| {
            let request = pb::GetGenerationsRequest { tags: owned(&["t"]), ..Default::default() };
            caller.get_generations(request).await.unwrap().generations
        };
        let before = generations(acme).await;
        other.invalidate(&["t"]).await;
        assert_eq!(other.get("user/a").await, None);
        assert_eq!(generations(acme).await, before);
        assert_ne!(generations(other).await, before);
        let request = pb::DeletePrefixRequest { prefix: "user/".to_owned() };
        assert_eq!(other.delete_prefix(request).await.unwrap().deleted, 3);
        assert_eq!(acme.get("user/mine").await.as_deref(), Some("v"));
        // A tenant does not wait for the lease of another.
        let lease = acme.take("user/l", &[]).await;
        other.take("user/l", &[]).await;
        let request = pb::ReleaseLeaseRequest { key: "user/l".to_owned(), token: lease.token };
        assert!(!other.release_lease(request.clone()).await.unwrap().released);
        assert!(acme.release_lease(request).await.unwrap().released);
        // A tenant has the same entries at every replica, from inside and outside the mesh.
        for caller in
            [Caller::tenant(&replicas.b.service, "acme"), Caller::inside(&replicas.b.service, "acme")]
        {
            assert_eq!(caller.get("user/mine").await.as_deref(), Some("v"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_visible_only_inside_the_mesh() {
    everywhere(&[], async |replicas: &Replicas| {
        let inside = Caller::inside(&replicas.a.service, "acme");
        inside.put("results/v1/x", "result", &["t"]).await;
        inside.put("user/v1/x", "user", &["t"]).await;
        assert_eq!(inside.get("results/v1/x").await.as_deref(), Some("result"));

        let outside = Caller::tenant(&replicas.b.service, "acme");
        assert_eq!(outside.get("user/v1/x").await.as_deref(), Some("user"));
        let key = || "results/v1/x".to_owned();
        let namespace = || "results".to_owned();
        let refused = [
            (outside.get_entry(pb::GetEntryRequest { key: key() }).await.err(), "key"),
            (outside.entry_exists(pb::EntryExistsRequest { key: key() }).await.err(), "key"),
            (outside.get_entry_ttl(pb::GetEntryTtlRequest { key: key() }).await.err(), "key"),
            (
                outside.batch_get_entries(pb::BatchGetEntriesRequest { keys: vec![key()] }).await.err(),
                "keys[0]",
            ),
            (outside.lease_entry(lease("results/v1/x", &[])).await.err(), "key"),
            (outside.set_entry(set(entry("results/v1/x", "forged", &[]))).await.err(), "entry.key"),
            (
                outside.delete_entry(pb::DeleteEntryRequest { key: key(), ..Default::default() }).await.err(),
                "key",
            ),
            (
                outside.delete_prefix(pb::DeletePrefixRequest { prefix: "results/".to_owned() }).await.err(),
                "prefix",
            ),
            (
                outside
                    .get_generations(pb::GetGenerationsRequest {
                        namespace: namespace(),
                        ..Default::default()
                    })
                    .await
                    .err(),
                "namespace",
            ),
            (
                outside
                    .invalidate_tags(pb::InvalidateTagsRequest {
                        namespace: namespace(),
                        tags: owned(&["t"]),
                    })
                    .await
                    .err(),
                "namespace",
            ),
        ];
        for (refusal, field) in refused {
            let Failure { code, reason, field: named, .. } = refusal.expect(field);
            assert_eq!(
                (code, reason.as_str(), named.as_str()),
                (Code::InvalidArgument, "KEY_INVALID", field)
            );
        }

        // Tags of the same name in two namespaces are independent.
        outside.invalidate(&["t"]).await;
        eventually(TIMEOUT, "the other replica has dropped its copy", async || {
            inside.get("user/v1/x").await.is_none()
        })
        .await;
        assert_eq!(inside.get("results/v1/x").await.as_deref(), Some("result"));
        let request = pb::InvalidateTagsRequest { namespace: namespace(), tags: owned(&["t"]) };
        inside.invalidate_tags(request).await.unwrap();
        assert_eq!(inside.get("results/v1/x").await, None);
        for unknown in ["rules", "Results", "results/", "user/x"] {
            let request = pb::GetGenerationsRequest { namespace: unknown.to_owned(), ..Default::default() };
            let refusal = inside.get_generations(request).await.unwrap_err();
            assert_eq!((refusal.reason.as_str(), refusal.field.as_str()), ("KEY_INVALID", "namespace"));
        }
    })
    .await;
}
