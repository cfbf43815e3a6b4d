//! What the operator of the demo has written down: a configuration and a schedule, as the story has them.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::Ports;
use crate::admission::{Class, ProductId};
use crate::demo::customers::Doors;
use crate::demo::script::Script;
use crate::sim::scenario::Event;

/// The file it runs with.
pub(super) fn configuration(script: &Script, ports: Ports, backends: &Doors) -> String {
    let Ports { listen, admin } = ports;
    let mut text = format!(
        r#"[listen]
address = "{listen}"
trusted = ["127.0.0.0/8"]

[admin]
address = "{admin}"

[customer]
from = [{{ header = "x-customer" }}, "address"]

[event]
from = [{{ header = "x-event" }}]

[schedule]
file = "schedule.toml"

[[budget]]                      # what the products share behind us; its limit is found
name = "wallet"
classes = ["start", "commit"]
"#
    );
    for (product, backend) in script.products().zip(backends) {
        text += &self::product(script, product, *backend);
    }
    text
}

fn product(script: &Script, product: ProductId, backend: SocketAddr) -> String {
    let (name, path) = (script.name(product), script.prefix(product));
    let settings = &script.story.admission.products[product.index()];
    let (guarantee, objective) = (settings.guarantee, settings.latency_objective.as_millis());
    let mut text = format!(
        r#"
[[product]]
name = "{name}"
match = [{{ path = "/{path}/" }}]
backends = ["http://{backend}"]
latency_objective = "{objective}ms"
guarantee = {guarantee}
default_class = "read"
"#
    );
    for class in [Class::Commit, Class::Start] {
        let steps = script.steps(product).filter(|step| step.class == class);
        let paths: BTreeSet<String> = steps.map(|step| script.path(product, step)).collect();
        for path in paths {
            text += &format!(
                r#"
  [[product.class]]
  class = "{}"
  match = [{{ method = "POST", path = "{path}" }}]
"#,
                class.name()
            );
        }
    }
    text
}

/// The events of the story, as if it began now: the race in fourteen minutes, and another an hour later.
pub(super) fn schedule(script: &Script) -> String {
    let event = |event: &Event| {
        let stop = jiff::Timestamp::now() + event.stop;
        let (id, product) = (&event.name, script.name(event.product));
        format!("[[event]]\nid = \"{id}\"\nproduct = \"{product}\"\nstop = \"{stop:.0}\"\n\n")
    };
    script.story.events.iter().map(event).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_an_operator_would_write_is_set_as_the_story_is() {
        let script = Script::saturday();
        let ports = Ports { listen: ([127, 0, 0, 1], 8080).into(), admin: ([127, 0, 0, 1], 9900).into() };
        let backends = [9101, 9102, 9103].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let folder = std::env::temp_dir().join(format!("sluss-demo-written-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("schedule.toml"), schedule(&script)).expect("written");
        fs::write(folder.join("demo.toml"), configuration(&script, ports, &backends.to_vec())).expect("written");
        let config = crate::config::load(&folder.join("demo.toml")).unwrap_or_else(|error| panic!("{error}"));
        fs::remove_dir_all(&folder).expect("removed");

        let [domain] = config.proxy.domains.as_slice() else { panic!("one budget, one domain") };
        assert_eq!(format!("{:#?}", domain.admission), format!("{:#?}", script.story.admission));
        let stops = config.events.iter().map(|event| event.stop.duration_since(jiff::Timestamp::now()).as_secs());
        let told = script.story.events.iter().map(|event| event.stop.as_secs() as i64);
        assert!(stops.zip(told).all(|(stop, told)| (told - 40..=told).contains(&stop)), "{:?}", config.events);
        let believed = config.events.iter().map(|event| event.believed_before_stop);
        assert!(believed.eq(script.story.events.iter().map(|event| event.believed_before_stop)));
    }
}
