//! Few connections are spread evenly over the workers.

use super::backend::{Backend, OK};
use super::client::Client;
use super::proxy::Setup;

#[test]
fn four_connections_are_two_for_each_of_two_workers() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().listen("workers = 2").horse(&backend, "").start();
    for _ in 0..8 {
        let mut clients: Vec<Client> = (0..4).map(|_| proxy.client()).collect();
        // A worker that was handed a connection answers on it as any other.
        for client in &mut clients {
            assert_eq!(client.get("/horse/odds").status(), 200);
        }
        assert_eq!(proxy.metric("sluss_proxy_worker_connections{worker=\"0\"}"), 2.0);
        assert_eq!(proxy.metric("sluss_proxy_worker_connections{worker=\"1\"}"), 2.0);
        drop(clients);
        proxy.until_alone();
    }
}
