//! What good files mean.

use std::net::SocketAddr;
use std::time::Duration;

use sluss::admission::Class;
use sluss::admission::settings::LimitSettings;
use sluss::config::{self, Config, LogFormat};
use sluss::proxy::settings::{
    BoundBy, CustomerSource, DomainSettings, EventSource, HintSettings, Prefix, SessionSettings, TokenPlace,
};

use super::{MadeUp, good, in_repository, parse, text_of};

/// What a class of a product needs, by name.
fn needs(config: &Config, product: usize, class: Class) -> Vec<String> {
    let product = &config.proxy.products[product];
    let domain = &config.proxy.domains[product.domain];
    let needs = domain.admission.products[usize::from(product.id.0)].needs[class.index()];
    needs.iter().map(|resource| domain.resources[resource].name.clone()).collect()
}

fn limited(domain: &DomainSettings) -> Vec<&str> {
    domain.resources.iter().map(|resource| resource.name.as_str()).collect()
}

fn guarantees(config: &Config) -> Vec<u32> {
    let of = |domain: usize, id: u16| config.proxy.domains[domain].admission.products[usize::from(id)].guarantee;
    config.proxy.products.iter().map(|product| of(product.domain, product.id.0)).collect()
}

/// Products called `a`, `b`, ... with the given backend and lines.
fn products(each: &[(u16, &str)]) -> String {
    let product = |(index, (port, lines)): (usize, &(u16, &str))| {
        let name = char::from(b'a' + index as u8);
        let backends = format!("backends = [\"http://127.0.0.1:{port}\"]");
        format!("[[product]]\nname = \"{name}\"\nmatch = [{{ path = \"/{name}/\" }}]\n{backends}\n{lines}\n")
    };
    each.iter().enumerate().map(product).collect()
}

#[test]
fn the_examples_are_good() {
    for name in ["three-products", "one-product"] {
        let path = in_repository(&format!("examples/{name}.toml"));
        config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn three_products_over_one_wallet_are_one_domain() {
    let around = MadeUp::default().with("schedule.toml", text_of("examples/schedule.toml"));
    let config = parse(&text_of("examples/three-products.toml"), &around).unwrap_or_else(|error| panic!("{error}"));
    let [domain] = config.proxy.domains.as_slice() else { panic!("one wallet, one domain") };
    let places: Vec<_> = domain.products.iter().map(|member| member.index).collect();
    assert_eq!(places, [Some(0), Some(1), Some(2)]);
    assert_eq!(limited(domain), ["horse-racing", "sport", "casino", "wallet"]);
    assert_eq!(guarantees(&config), [40, 30, 30]);
    assert_eq!(needs(&config, 0, Class::Commit), ["horse-racing", "wallet"]);
    assert_eq!(needs(&config, 2, Class::Start), ["casino", "wallet"]);
    assert_eq!(needs(&config, 1, Class::Read), ["sport"]);
    assert!(domain.admission.resources[3].budget && !domain.admission.resources[2].budget);
    let session = CustomerSource::Session(SessionSettings {
        cookie: "session".to_owned(),
        bound_by: BoundBy::SetCookie,
        most: 200_000.try_into().unwrap(),
        idle: Duration::from_secs(1800),
    });
    let header = CustomerSource::Header("x-customer".parse().unwrap());
    assert_eq!(config.proxy.customer, [header, session, CustomerSource::Address]);
    let path = EventSource::PathAfter("/horse/bets/".to_owned());
    assert_eq!(config.proxy.event, [EventSource::Header("x-event".parse().unwrap()), path]);
    assert_eq!(config.events[0].stop.to_string(), "2024-08-24T14:20:00Z");
    assert_eq!(config.events[1].believed_before_stop, Duration::from_secs(300));
}

#[test]
fn the_least_has_every_default() {
    let config = good(&text_of("examples/one-product.toml"));
    assert_eq!(config.proxy.listen.address, SocketAddr::from(([127, 0, 0, 1], 8080)));
    assert_eq!(config.admin.address, SocketAddr::from(([127, 0, 0, 1], 9900)));
    assert_eq!(config.proxy.listen.workers.get(), 4, "the made-up machine has four cores");
    assert_eq!(config.log, LogFormat::Auto);
    assert_eq!(config.proxy.customer, [CustomerSource::Address]);
    assert_eq!(config.proxy.prefix, Prefix { v4: 32, v6: 64 });
    assert!(config.admin.token.is_none() && config.events.is_empty() && config.proxy.event.is_empty());
    assert_eq!(guarantees(&config), [100]);
    assert_eq!(needs(&config, 0, Class::Commit), ["betting"]);
    assert!(matches!(config.proxy.domains[0].admission.resources[0].limit, LimitSettings::Found(_)));
}

#[test]
fn products_with_the_same_backends_share_a_pool_whatever_the_order_and_the_names() {
    let text = products(&[(9101, "limit = 40"), (9102, ""), (9101, "keep = \"3s\"")]);
    let text = text.replacen("127.0.0.1:9101", "localhost:9101", 1);
    let config = good(&text);
    assert_eq!(config.proxy.pools.len(), 2);
    let pools: Vec<usize> = config.proxy.products.iter().map(|product| product.pool).collect();
    assert_eq!(pools, [0, 1, 0]);
    assert_eq!(config.proxy.pools[0].name, "a");
    assert_eq!(config.proxy.pools[0].backends[0].name, "localhost:9101");
    assert_eq!(config.proxy.pools[0].timeouts.keep, Duration::from_secs(3));
    let resource = &config.proxy.domains[0].admission.resources[config.proxy.pools[0].resource];
    assert!(matches!(resource.limit, LimitSettings::Fixed(seats) if seats.get() == 40));
    let places: Vec<_> = config.proxy.products.iter().map(|product| (product.domain, product.id.0)).collect();
    assert_eq!(places, [(0, 0), (1, 0), (0, 1)]);
}

#[test]
fn every_pool_knows_its_domain_and_resource() {
    let text = products(&[(9101, ""), (9102, ""), (9103, "")]);
    let config =
        good(&format!("{text}[[budget]]\nname = \"wallet\"\nclasses = [\"start\"]\nproducts = [\"a\", \"c\"]\n"));
    assert_eq!(config.proxy.domains.len(), 2);
    for pool in &config.proxy.pools {
        assert_eq!(config.proxy.domains[pool.domain].resources[pool.resource].name, pool.name);
    }
    for (index, product) in config.proxy.products.iter().enumerate() {
        assert_eq!(config.proxy.domains[product.domain].products[usize::from(product.id.0)].index, Some(index));
        assert_eq!(config.proxy.pools[product.pool].domain, product.domain);
    }
    assert_eq!(needs(&config, 0, Class::Start), ["a", "wallet"]);
    assert_eq!(needs(&config, 1, Class::Start), ["b"]);
}

#[test]
fn a_machine_has_its_bound_in_every_domain_and_its_secret_in_no_log() {
    let machine = "[[machine]]\nname = \"feed\"\ntoken_file = \"feed.token\"\nat_once = 7\n";
    let around = MadeUp::default().with("feed.token", "0123456789abcdef\n");
    let config = parse(&format!("{machine}{}", products(&[(9101, ""), (9102, "")])), &around).unwrap();
    assert_eq!(config.proxy.domains.len(), 2);
    for domain in &config.proxy.domains {
        assert_eq!(domain.admission.machines.iter().map(|most| most.get()).collect::<Vec<_>>(), [7]);
    }
    let token = config.proxy.machines[0].token.as_ref().unwrap();
    assert_eq!((token.header.as_str(), token.secret.as_str()), ("authorization", "0123456789abcdef"));
    assert!(!format!("{config:?}").contains("0123456789abcdef"), "a secret does not stand in logs");
}

#[test]
fn keys_of_tokens_are_read_with_the_file() {
    let keys =
        ["EdDSA", "ES256", "RS256", "HS256"].map(|name| format!("{{ file = \"{name}\", algorithm = \"{name}\" }}"));
    let token = format!("[customer]\nfrom = [{{ jwt = {{ cookie = \"token\", keys = [{}] }} }}]\n", keys.join(", "));
    let secret = "0123456789abcdef0123456789abcdef";
    let around = MadeUp::default()
        .with("EdDSA", text_of("tests/keys/ed25519.pem"))
        .with("ES256", text_of("tests/keys/p256.pem"))
        .with("RS256", text_of("tests/keys/rsa.pem"))
        .with("HS256", format!("{secret}\n"));
    let config = parse(&format!("{token}{}", products(&[(9101, "")])), &around).unwrap_or_else(|e| panic!("{e}"));
    let CustomerSource::Token(token) = &config.proxy.customer[0] else { panic!("{:?}", config.proxy.customer) };
    assert_eq!(token.place, TokenPlace::Cookie("token".to_owned()));
    assert_eq!((token.claim.as_str(), token.leeway), ("sub", Duration::from_secs(30)));
    assert_eq!(token.keys.iter().map(|key| key.bytes.len()).collect::<Vec<_>>(), [32, 65, 270, 32]);
    let shown = format!("{config:?}");
    assert!(!shown.contains(secret) && !shown.contains("48, 49, 50, 51"), "a secret does not stand in logs");
}

#[test]
fn a_pool_listens_for_hints_of_the_budgets_that_its_products_draw_on() {
    let text = products(&[(9101, ""), (9102, ""), (9103, "")]);
    let budget = |name: &str, products: &str, keys: &str| {
        format!("[[budget]]\nname = \"{name}\"\nclasses = [\"start\"]\nproducts = {products}\n{keys}\n")
    };
    let wallet = budget("wallet", r#"["a", "b"]"#, r#"hint = "X-Wallet""#);
    let login = budget("login", r#"["b"]"#, "hint = \"x-login\"\npass_hint = true");
    let config = good(&format!("{text}{}{wallet}{login}", budget("tote", r#"["a", "b"]"#, "")));
    let hint = |header: &'static str, pass, resource, budget: &str| HintSettings {
        header: http::HeaderName::from_static(header),
        pass,
        resource,
        budget: budget.to_owned(),
    };
    let (wallet, login) = (hint("x-wallet", false, 3, "wallet"), hint("x-login", true, 4, "login"));
    assert_eq!(limited(&config.proxy.domains[0]), ["a", "b", "tote", "wallet", "login"]);
    let hints: Vec<_> = config.proxy.pools.into_iter().map(|pool| pool.hints).collect();
    assert_eq!(hints, [vec![wallet.clone()], vec![wallet, login], vec![]]);
}

#[test]
fn it_is_known_when_the_connections_want_more_memory_than_may_be_held() {
    let wanted =
        |listen: &str| good(&format!("[listen]\n{listen}\n{}", products(&[(9101, "")]))).proxy.listen.memory_wanted();
    assert_eq!(wanted("connections = 512\nmemory = \"16MiB\""), None);
    assert_eq!(wanted("connections = 513\nmemory = \"16MiB\""), Some(513 * 32 * 1024));
}

#[test]
fn of_a_small_reserve_one_customer_may_have_all_unless_it_is_said() {
    let text = products(&[(9101, ""), (9102, "reserve = 1"), (9103, "reserve = 5\nreserve_per_customer = 5")]);
    let config = good(&text);
    let domains = config.proxy.domains.iter().flat_map(|domain| &domain.admission.products);
    let reserves: Vec<_> = domains.map(|set| (set.reserve.get(), set.reserve_per_customer.get())).collect();
    assert_eq!(reserves, [(8, 2), (1, 1), (5, 5)]);
}

#[test]
fn those_who_ask_for_no_guarantee_share_what_is_left_evenly() {
    let wallet = "[[budget]]\nname = \"wallet\"\nclasses = [\"start\"]\n";
    let three = products(&[(9101, "guarantee = 50"), (9102, ""), (9103, "")]);
    assert_eq!(guarantees(&good(&format!("{three}{wallet}"))), [50, 25, 25]);
    let none = products(&[(9101, ""), (9102, ""), (9103, "")]);
    assert_eq!(guarantees(&good(&format!("{none}{wallet}"))), [33, 33, 33]);
    assert_eq!(guarantees(&good(&none)), [100, 100, 100], "nobody shares anything");
}

#[test]
fn a_product_with_two_things_to_share_gets_the_smaller_part() {
    let text = products(&[(9101, "guarantee = 80"), (9101, ""), (9102, "guarantee = 30")]);
    let config =
        good(&format!("{text}[[budget]]\nname = \"wallet\"\nclasses = [\"start\"]\nproducts = [\"b\", \"c\"]\n"));
    assert_eq!(guarantees(&config), [80, 20, 30]);
}

#[test]
fn a_range_to_look_in_moves_its_unwritten_ends() {
    let limit = |written: &str| {
        let config = good(&products(&[(9101, &format!("limit = {written}"))]));
        match &config.proxy.domains[0].admission.resources[0].limit {
            LimitSettings::Found(range) => (range.initial.get(), range.least.get(), range.most.get()),
            other => panic!("not to be found: {other:?}"),
        }
    };
    assert_eq!(limit("{}"), (8, 2, 4096));
    assert_eq!(limit("{ initial = 1 }"), (1, 1, 4096));
    assert_eq!(limit("{ initial = 5000 }"), (5000, 2, 5000));
    assert_eq!(limit("{ least = 20 }"), (20, 20, 4096));
    assert_eq!(limit("{ most = 4 }"), (4, 2, 4));
    assert_eq!(limit("{ initial = 10, least = 5, most = 20 }"), (10, 5, 20));
}

#[test]
fn rules_have_all_four_parts() {
    let text = "[[product]]\nname = \"a\"\nbackends = [\"http://horse.internal\"]\nmatch = [\n  { path = \"/a\", host = \"A.Example.com\", \
                method = \"POST\", header = \"X-App\" },\n  { header = { name = \"x-app\", value = \"ios\" } },\n]\n";
    let config = good(text);
    let [first, second] = config.proxy.products[0].rules.as_slice() else { panic!("two rules") };
    assert_eq!(first.path.as_deref(), Some("/a"));
    assert_eq!(first.host.as_deref(), Some("a.example.com"));
    assert_eq!(first.method.as_ref().map(|method| method.as_str()), Some("POST"));
    assert_eq!(first.header, Some(("x-app".parse().unwrap(), None)));
    assert_eq!(second.header, Some(("x-app".parse().unwrap(), Some("ios".parse().unwrap()))));
    assert_eq!(config.proxy.pools[0].backends[0].address, SocketAddr::from(([10, 1, 0, 1], 80)));
}

#[test]
fn betting_stops_are_texts_or_dates() {
    let stops =
        ["2024-08-24T16:20:00+02:00", "\"2024-08-24T16:20:00+02:00\"", "2024-08-24 14:20:00Z", "\"2024-08-24T14:20Z\""];
    for stop in stops {
        let schedule = format!("[[event]]\nid = \"x\"\nproduct = \"a\"\nstop = {stop}\n");
        let around = MadeUp::default().with("s.toml", schedule);
        let text = "[event]\nfrom = [{ header = \"x-event\" }]\n[schedule]\nfile = \"s.toml\"\n";
        let config =
            parse(&format!("{text}{}", products(&[(9101, "")])), &around).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.events[0].stop.to_string(), "2024-08-24T14:20:00Z", "{stop}");
        assert_eq!(config.events[0].believed_before_stop, Duration::from_secs(120));
    }
}

#[test]
fn a_later_product_may_be_wider_than_an_earlier_one() {
    let text = products(&[(9101, ""), (9102, "")]).replace("\"/b/\"", "\"/\"");
    assert_eq!(good(&text).proxy.products.len(), 2);
}

#[test]
fn ports_that_the_system_chooses_do_not_clash() {
    let text = "[listen]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n";
    good(&format!("{text}{}", products(&[(9101, "")])));
}

#[test]
fn bets_are_known_by_their_keys_unless_no_header_has_any() {
    let once = |text: &str| good(&format!("{text}\n{}", products(&[(9101, "")]))).proxy.once;
    let least = once("");
    assert_eq!(least.headers, ["idempotency-key"]);
    assert_eq!(
        Class::ALL.into_iter().filter(|class| least.classes[class.index()]).collect::<Vec<_>>(),
        [Class::Commit]
    );
    assert_eq!((least.bets, least.memory, least.answer_bytes), (100_000, 64 << 20, 64 << 10));
    let given = once("[once]\nheader = [\"X-Bet-Id\", \"x-id\"]\nclasses = [\"settle\", \"start\"]\nkeep = \"2m\"");
    assert_eq!((given.headers.len(), given.headers[0].as_str()), (2, "x-bet-id"));
    assert_eq!(given.classes.map(u8::from), [0, 1, 0, 0, 1, 0, 0]);
    assert_eq!(given.keep, Duration::from_secs(120));
    assert!(once("[once]\nheader = []").headers.is_empty());
}

#[test]
fn keys_are_honoured_by_a_product_and_retries_counted_by_a_pool() {
    let text =
        products(&[(9101, "retry_budget = 0"), (9102, "honours_idempotency_key = true"), (9101, "lookup = \"/a\"")]);
    let proxy = good(&text).proxy;
    assert_eq!(proxy.pools.iter().map(|pool| pool.retry_budget).collect::<Vec<_>>(), [0, 10]);
    let products = proxy.products.iter();
    let told: Vec<_> = products.map(|product| (product.honours_idempotency_key, product.lookup.is_some())).collect();
    assert_eq!(told, [(false, false), (true, false), (false, true)]);
}

#[test]
fn each_address_of_a_name_is_a_backend_and_products_that_name_it_share_a_pool() {
    let product = |name: &str| {
        format!(
            "[[product]]\nname = {name:?}\nmatch = [{{ path = \"/{name}/\" }}]\nbackends = [\"http://three.internal:81\"]\n"
        )
    };
    let config = good(&(product("sport") + &product("casino")));
    let names: Vec<&str> = config.proxy.pools[0].backends.iter().map(|backend| backend.name.as_str()).collect();
    assert_eq!(names, ["three.internal:81", "three.internal:81@10.1.0.4", "three.internal:81@10.1.0.5"]);
    assert_eq!(config.proxy.pools.len(), 1);
}
