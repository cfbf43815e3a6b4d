//! Settings that follow others while the proxy runs.
//!
//! What both have, known by its name, keeps the number under which admission knows it; what is new has numbers behind
//! those. So whoever runs or waits under the old settings is counted where they were. What has left keeps its number too,
//! with nothing that leads to it, and has it again when it comes back, and its domain where it shares nothing with others
//! that are decided elsewhere. A pool whose name has changed with its products is known by its backends.
//!
//! Domains that were decided apart cannot be joined under one lock while both are served; those that could be decided
//! apart from now on stay together, which costs them nothing but a lock in common.

mod pools;

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;

use super::{DomainSettings, Limited, Member, Settings};
use crate::admission::settings::Needs;
use crate::admission::{self, Class, ProductId};

/// Why a proxy that runs cannot follow these settings; a new process can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotFollow {
    /// These products come to share something, and are decided apart now.
    Apart(Vec<String>),
    /// Pools and budgets have come and left so often that there is no number for another one.
    NoNumbersLeft,
}

impl fmt::Display for CannotFollow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CannotFollow::Apart(products) => {
                write!(
                    out,
                    "the products {} come to share backends or a budget, and are decided apart now",
                    products.join(", ")
                )
            }
            CannotFollow::NoNumbersLeft => {
                out.write_str("pools and budgets have come and left too often since the start")
            }
        }
    }
}

impl std::error::Error for CannotFollow {}

impl Settings {
    /// These settings, numbered so that they can be followed by a proxy that runs by `live`.
    ///
    /// # Errors
    /// When products come to share something that do not yet, or numbers are used up.
    pub fn following(mut self, live: &Settings) -> Result<Settings, CannotFollow> {
        let homes = self.homes(live)?;
        self.number_machines(live);
        let bounds = self.bounds_of_machines(live);
        let mut domains: Vec<DomainSettings> = live.domains.iter().map(emptied).collect();
        let count = homes.iter().map(|home| home + 1).max().unwrap_or(0).max(domains.len());
        domains.resize_with(count, nobody);
        self.rename_pools(live, &homes, &mut domains);
        let take_in = |(home, arriving): (&usize, &DomainSettings)| domains[*home].take_in(arriving);
        let places: Option<Vec<Places>> = homes.iter().zip(&self.domains).map(take_in).collect();
        self.renumber(&homes, &places.ok_or(CannotFollow::NoNumbersLeft)?);
        domains.iter_mut().for_each(|domain| domain.admission.machines.clone_from(&bounds));
        self.domains = domains;
        self.mark_moved();
        Ok(self)
    }

    /// Where a product that has left was decided last.
    pub fn last_place_of(&self, product: &str) -> Option<(usize, ProductId)> {
        let place =
            |domain: &DomainSettings| domain.products.iter().position(|known| known.has_left_from_here(product));
        let places = self.domains.iter().enumerate();
        places.filter_map(|(index, domain)| Some((index, ProductId(place(domain)? as u16)))).next()
    }

    /// What is decided elsewhere since does not come back to where it was before.
    fn mark_moved(&mut self) {
        let here: BTreeSet<&str> = self.products.iter().map(|product| product.name.as_str()).collect();
        let gone = |member: &&mut Member| member.index.is_none();
        for member in self.domains.iter_mut().flat_map(|domain| &mut domain.products).filter(gone) {
            member.moved |= here.contains(member.name.as_str());
        }
    }

    /// Whatever belongs to a domain has other numbers, and the domain another place.
    fn renumber(&mut self, homes: &[usize], places: &[Places]) {
        for product in &mut self.products {
            let old = product.domain;
            product.domain = homes[old];
            product.id = ProductId(places[old].products[product.id.index()] as u16);
        }
        for pool in &mut self.pools {
            let old = pool.domain;
            pool.domain = homes[old];
            let numbers = &places[old].resources;
            pool.resource = numbers[pool.resource];
            pool.hints.iter_mut().for_each(|hint| hint.resource = numbers[hint.resource]);
        }
    }

    /// The number of each of our domains from now on.
    fn homes(&self, live: &Settings) -> Result<Vec<usize>, CannotFollow> {
        let mut next = live.domains.len();
        let mut new = || {
            next += 1;
            next - 1
        };
        let mut home = |domain: &DomainSettings| {
            let lived = |member: &Member| live.domains.iter().position(|live| live.has(&member.name));
            let found: BTreeSet<usize> = domain.products.iter().filter_map(lived).collect();
            match found.len() {
                0 => {
                    let places = domain.products.iter().map(|member| live.last_place_of(&member.name));
                    Ok(places.flatten().next().map_or_else(&mut new, |(domain, _)| domain))
                }
                1 => Ok(found.into_iter().next().unwrap_or_default()),
                _ => Err(CannotFollow::Apart(domain.products.iter().map(|member| member.name.clone()).collect())),
            }
        };
        self.domains.iter().map(&mut home).collect()
    }

    /// Machines that `live` has too keep their numbers; others have new ones, which nobody had before.
    fn number_machines(&mut self, live: &Settings) {
        let mut next = live.most_machines() as u16;
        for machine in &mut self.machines {
            let known = live.machines.iter().find(|known| known.name == machine.name);
            machine.number = known.map_or(next, |known| known.number);
            next += u16::from(known.is_none());
        }
    }

    /// By number, what each machine may have at once; one that has left, what it had.
    fn bounds_of_machines(&self, live: &Settings) -> Vec<NonZeroU32> {
        let mut bounds = live.domains.first().map(|domain| domain.admission.machines.clone()).unwrap_or_default();
        for machine in &self.machines {
            let number = usize::from(machine.number);
            bounds.resize(bounds.len().max(number + 1), machine.at_once);
            bounds[number] = machine.at_once;
        }
        bounds
    }

    fn most_machines(&self) -> usize {
        self.domains.first().map_or(0, |domain| domain.admission.machines.len())
    }
}

impl Member {
    /// Whether this is where `product` was decided when it left.
    fn has_left_from_here(&self, product: &str) -> bool {
        self.name == product && self.index.is_none() && !self.moved
    }
}

/// Where what one domain has is in another.
struct Places {
    products: Vec<usize>,
    resources: Vec<usize>,
}

impl DomainSettings {
    fn has(&self, product: &str) -> bool {
        self.products.iter().any(|member| member.name == product && member.index.is_some())
    }

    /// Its products that have left the configuration.
    pub fn gone(&self) -> Vec<ProductId> {
        let numbered = (0..).map(ProductId).zip(&self.products);
        numbered.filter(|(_, member)| member.index.is_none()).map(|(id, _)| id).collect()
    }

    /// Take in all that `arriving` has, under the numbers that it has here already, or new ones; `None` when there are none.
    fn take_in(&mut self, arriving: &DomainSettings) -> Option<Places> {
        let admission::Settings { at_once_per_customer, at_once_per_address, .. } = arriving.admission;
        (self.admission.at_once_per_customer, self.admission.at_once_per_address) =
            (at_once_per_customer, at_once_per_address);
        let resources: Vec<usize> =
            (0..arriving.resources.len()).map(|index| self.take_resource(arriving, index)).collect();
        let take = |index| self.take_product(arriving, index, &resources);
        let products = (0..arriving.products.len()).map(take).collect::<Option<_>>()?;
        Some(Places { products, resources })
    }

    fn take_resource(&mut self, arriving: &DomainSettings, index: usize) -> usize {
        let (name, settings) = (&arriving.resources[index].name, &arriving.admission.resources[index]);
        let mut known = self.resources.iter().zip(&self.admission.resources);
        let place = known.position(|(own, known)| own.name == *name && known.budget == settings.budget);
        let resource = Limited { name: name.clone(), gone: false };
        put(&mut self.resources, place, resource);
        put(&mut self.admission.resources, place, settings.clone())
    }

    fn take_product(&mut self, arriving: &DomainSettings, index: usize, resources: &[usize]) -> Option<usize> {
        let member = arriving.products[index].clone();
        let mut settings = arriving.admission.products[index].clone();
        for class in Class::ALL {
            let needs = &mut settings.needs[class.index()];
            let places: Vec<usize> = needs.iter().map(|need| resources[need]).collect();
            *needs = Needs::new(&places)?;
        }
        for site in &mut settings.sites {
            site.resource = resources[site.resource];
            // A seat names its pool by one byte, as needs do.
            u8::try_from(site.resource).ok()?;
        }
        let place = self.products.iter().position(|own| own.name == member.name);
        put(&mut self.products, place, member);
        Some(put(&mut self.admission.products, place, settings))
    }
}

/// Put `what` there, or at the end. Where it is now comes back.
fn put<T>(all: &mut Vec<T>, place: Option<usize>, what: T) -> usize {
    match place {
        Some(place) => {
            all[place] = what;
            place
        }
        None => {
            all.push(what);
            all.len() - 1
        }
    }
}

/// The domain, once all that is in it has left.
fn emptied(domain: &DomainSettings) -> DomainSettings {
    let mut domain = domain.clone();
    domain.products.iter_mut().for_each(|member| member.index = None);
    domain.resources.iter_mut().for_each(|resource| resource.gone = true);
    domain
}

fn nobody() -> DomainSettings {
    let admission = admission::Settings {
        products: Vec::new(),
        resources: Vec::new(),
        at_once_per_customer: NonZeroU32::MIN,
        at_once_per_address: NonZeroU32::MIN,
        machines: Vec::new(),
    };
    DomainSettings { admission, products: Vec::new(), resources: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, ThisMachine};

    fn settings(text: &str) -> Settings {
        config::parse(text, Path::new("test.toml"), &ThisMachine).unwrap_or_else(|error| panic!("{error}")).proxy
    }

    fn product(name: &str) -> String {
        let port = 2000 + name.len();
        format!(
            "[[product]]\nname = {name:?}\nmatch = [{{ path = \"/{name}/\" }}]\nbackends = [\"http://127.0.0.1:{port}\"]\n"
        )
    }

    fn products(names: &[&str]) -> Settings {
        settings(&names.iter().map(|name| product(name)).collect::<String>())
    }

    fn wallet(products: &[&str]) -> String {
        format!("[[budget]]\nname = \"wallet\"\nlimit = 4\nproducts = {products:?}\nclasses = [\"commit\"]\n")
    }

    fn numbers(settings: &Settings) -> Vec<(&str, usize, u16)> {
        settings.products.iter().map(|product| (product.name.as_str(), product.domain, product.id.0)).collect()
    }

    #[test]
    fn what_stays_keeps_its_number_wherever_it_stands_in_the_file() {
        let live = products(&["ab", "abc"]);
        let next = products(&["abcd", "abc", "ab"]).following(&live).expect("nothing is shared");
        assert_eq!(numbers(&next), [("abcd", 2, 0), ("abc", 1, 0), ("ab", 0, 0)]);
        assert_eq!(next.domains[1].resources, [Limited { name: "abc".into(), gone: false }]);
        let members: Vec<_> = next.domains.iter().map(|domain| domain.products[0].index).collect();
        assert_eq!(members, [Some(2), Some(1), Some(0)]);
        for pool in &next.pools {
            assert_eq!(next.domains[pool.domain].resources[pool.resource].name, pool.name);
        }
    }

    #[test]
    fn what_has_left_keeps_its_number_and_has_it_again() {
        let both = settings(&(product("ab") + &product("abc") + &wallet(&["ab", "abc"])));
        let alone = settings(&(product("abc") + &wallet(&["abc"]))).following(&both).expect("nothing comes together");
        assert_eq!(numbers(&alone), [("abc", 0, 1)]);
        assert_eq!(alone.domains[0].gone(), [ProductId(0)]);
        let gone: Vec<_> = alone.domains[0].resources.iter().map(|known| (known.name.as_str(), known.gone)).collect();
        assert_eq!(gone, [("ab", true), ("abc", false), ("wallet", false)]);
        let again = settings(&(product("abc") + &product("ab") + &wallet(&["abc", "ab"])));
        let again = again.following(&alone).expect("it was at home there");
        assert_eq!(numbers(&again), [("abc", 0, 1), ("ab", 0, 0)]);
        let needs = |settings: &Settings, product: usize| -> Vec<usize> {
            settings.domains[0].admission.products[product].needs[Class::Commit.index()].iter().collect()
        };
        assert_eq!((needs(&again, 0), needs(&again, 1)), (vec![0, 2], vec![1, 2]));
        assert_eq!((needs(&both, 0), needs(&both, 1)), (vec![0, 2], vec![1, 2]));
    }

    #[test]
    fn one_that_was_alone_comes_back_to_where_it_was() {
        let both = products(&["ab", "abc"]);
        let left = products(&["ab"]).following(&both).expect("it only leaves");
        assert_eq!(left.last_place_of("abc"), Some((1, ProductId(0))));
        let again = products(&["abc", "ab"]).following(&left).expect("nothing is shared");
        assert_eq!(numbers(&again), [("abc", 1, 0), ("ab", 0, 0)]);
        assert_eq!((again.domains.len(), again.last_place_of("abc")), (2, None));
        // One that came back to others is at home there from then on, and not where it was alone.
        let together = settings(&(product("ab") + &product("abc") + &wallet(&["ab", "abc"])));
        let joined = together.following(&left).expect("it comes back to the other");
        assert_eq!(numbers(&joined), [("ab", 0, 0), ("abc", 0, 1)]);
        let left = products(&["ab"]).following(&joined).expect("it only leaves");
        let again = products(&["ab", "abc"]).following(&left).expect("nothing is shared");
        assert_eq!(numbers(&again), [("ab", 0, 0), ("abc", 0, 1)]);
    }

    #[test]
    fn a_pool_is_known_by_its_backends_when_another_product_comes_first() {
        let product = |name: &str, port: u16| {
            let backends = format!("backends = [\"http://127.0.0.1:{port}\"]");
            format!("[[product]]\nname = {name:?}\nmatch = [{{ path = \"/{name}/\" }}]\n{backends}\n")
        };
        let pools = |settings: &Settings| -> Vec<(String, usize, usize)> {
            settings.pools.iter().map(|pool| (pool.name.clone(), pool.domain, pool.resource)).collect()
        };
        let named = |name: &str, resource| (name.to_owned(), 0, resource);
        let live = settings(&(product("a", 1) + &product("b", 1) + &product("c", 1)));
        let turned =
            settings(&(product("b", 1) + &product("a", 1) + &product("c", 1))).following(&live).expect("it can");
        assert_eq!(pools(&turned), [named("b", 0)]);
        let fewer = settings(&product("c", 1)).following(&turned).expect("it can");
        assert_eq!(pools(&fewer), [named("c", 0)]);
        assert_eq!(fewer.domains[0].resources, [Limited { name: "c".into(), gone: false }]);
        // One that takes its name along to other backends takes the pool along.
        let moved = settings(&(product("c", 2) + &product("a", 1))).following(&fewer).expect("it can");
        assert_eq!(pools(&moved), [named("c", 0), named("a", 1)]);
        let back = settings(&product("b", 1)).following(&moved).expect("it can");
        assert_eq!(pools(&back), [named("b", 1)]);
    }

    #[test]
    fn those_decided_apart_cannot_come_to_share_and_those_together_may_part() {
        let (apart, names) = (products(&["ab", "abc"]), ["ab", "abc"]);
        let together = || settings(&(product("ab") + &product("abc") + &wallet(&names)));
        assert_eq!(together().following(&apart).err(), Some(CannotFollow::Apart(names.map(str::to_owned).to_vec())));
        let parted = apart.following(&together()).expect("one lock serves both");
        assert_eq!(numbers(&parted), [("ab", 0, 0), ("abc", 0, 1)]);
        let again = together().following(&parted).expect("they are under one lock");
        assert_eq!(numbers(&again), [("ab", 0, 0), ("abc", 0, 1)]);
        // One that had left is nobody's neighbour any more.
        let left = products(&["ab"]).following(&products(&["ab", "abc"])).expect("it only leaves");
        let joined = together().following(&left).expect("it comes anew");
        assert_eq!(numbers(&joined), [("ab", 0, 0), ("abc", 0, 1)]);
    }

    #[test]
    fn a_machine_keeps_its_number_and_another_has_none_that_was_given() {
        let machines = |names: &[&str]| {
            let machine = |name: &&str| format!("[[machine]]\nname = {name:?}\nfrom = [\"10.0.0.1\"]\nat_once = 3\n");
            settings(&(names.iter().map(machine).collect::<String>() + &product("ab")))
        };
        let numbers = |settings: &Settings| -> Vec<(String, u16)> {
            settings.machines.iter().map(|machine| (machine.name.clone(), machine.number)).collect()
        };
        let live = machines(&["feed", "payer"]);
        let next = machines(&["other", "payer"]).following(&live).expect("nothing is shared");
        assert_eq!(numbers(&next), [("other".into(), 2), ("payer".into(), 1)]);
        assert_eq!(next.domains[0].admission.machines.len(), 3);
        let last = machines(&["feed"]).following(&next).expect("nothing is shared");
        assert_eq!(numbers(&last), [("feed".into(), 3)]);
    }

    #[test]
    fn numbers_may_be_used_up() {
        let budget = |n: usize| {
            let pool =
                "[[product]]\nname = \"ab\"\nmatch = [{ path = \"/\" }]\nbackends = [\"http://127.0.0.1:2000\"]\n";
            settings(&format!("{pool}[[budget]]\nname = \"b{n}\"\nlimit = 4\nclasses = [\"commit\"]\n"))
        };
        let mut live = budget(0);
        for n in 1..255 {
            live = budget(n).following(&live).expect("there are 256 numbers");
        }
        assert_eq!(budget(255).following(&live).err(), Some(CannotFollow::NoNumbersLeft));
    }
}
