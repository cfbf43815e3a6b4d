use super::*;
use crate::sim::record::handmade::run;
use crate::sim::rehearsal::handmade::rehearsal;

#[test]
fn the_page_says_what_was_expected_what_was_found_and_how_to_look_at_it() {
    let page = page(&[rehearsal()]);
    for part in [
        "<span class=\"badge bad\">2 of 3 held</span>",
        "<dd>1:10</dd>",
        "<td>NOT HELD</td>",
        "<td>32.3 % (31.8 to 32.7)</td>",
        "6\u{202f}000 events simulated",
        "--seed 2 --against vegas",
        "<h2>horse-racing</h2>",
        "<h2>sport</h2>",
        "<li>30 s: park</li>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let pictures = page.matches("role=\"img\"").count();
    assert_eq!((pictures, page.matches("<desc ").count()), (12, 12), "six of each product, each with its words");
}

#[test]
fn names_from_a_file_are_text_and_never_markup() {
    let mut rehearsal = rehearsal();
    let evil = "<script>\"&'";
    let scenario = &mut rehearsal.story.scenario;
    (scenario.name, scenario.about, scenario.scale) = (evil.into(), evil.into(), evil.into());
    scenario.products[0].name = evil.into();
    scenario.crowds[1].name = evil.into();
    rehearsal.story.file = evil.into();
    rehearsal.shown[0].marks[0].what = evil.into();
    rehearsal.measured[0].violations = vec![evil.into()];
    let (page, hero) = (page(std::slice::from_ref(&rehearsal)), hero(&rehearsal).unwrap());
    assert!(page.matches("&lt;script&gt;").count() >= 10);
    assert!(!page.contains("<script") && !hero.contains("<script"));
}

#[test]
fn the_page_needs_no_other_file_and_no_script() {
    let page = page(&[rehearsal()]);
    for foreign in ["src=", "url(", "@import", "<script", "<link", "https://"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let addresses = page.matches("http://").count();
    assert_eq!(addresses, page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
}

#[test]
fn equal_runs_give_equal_pages() {
    let made = || {
        let rehearsal = [rehearsal()];
        (page(&rehearsal), hero(&rehearsal[0]), markdown(&rehearsal))
    };
    assert!(made() == made());
}

#[test]
fn every_colour_that_is_drawn_is_known_to_the_stylesheet() {
    let page = page(&[rehearsal()]);
    let (_, drawn) = page.split_once("</style>").unwrap();
    let style = include_str!("style.css");
    let colours =
        drawn.split(['"']).filter(|part| part.starts_with('#') && part.len() == 7 && !part.starts_with("#story"));
    let pens = PENS.map(|pen| Key::new("", pen, false).colour);
    for colour in colours.map(str::to_owned).chain(pens) {
        assert!(style.contains(&format!("=\"{colour}\"]")), "{colour}");
    }
}

#[test]
fn several_stories_are_listed_above_and_told_one_after_the_other() {
    let mut second = rehearsal();
    second.story.scenario.name = "Another".into();
    second.story.scenario.expected.clear();
    let page = page(&[rehearsal(), second]);
    assert!(page.contains("<title>2 stories"));
    assert!(page.contains("<a href=\"#story-2\">Another</a>"));
    assert!(page.contains("id=\"s1-p0-goodput-title\""), "no two pictures share a name");
}

#[test]
fn a_run_that_came_down_leaves_the_others_their_pens() {
    let mut rehearsal = rehearsal();
    rehearsal.shown.remove(1);
    let page = page(&[rehearsal]);
    let (_, goodput) = page.split_once("Goodput of horse-racing").unwrap();
    let (goodput, _) = goodput.split_once("</svg>").unwrap();
    assert!(goodput.contains("stroke=\"#0072B2\"") && goodput.contains("stroke=\"#009E73\""));
    assert!(!goodput.contains("stroke=\"#D55E00\""), "the pen of `none`");
}

#[test]
fn a_picture_for_a_front_page_compares_ours_with_one_other() {
    let mut rehearsal = rehearsal();
    let hero_of_two = hero(&rehearsal).unwrap();
    for part in ["with Sluss", "without", "3 960 served", "270 served", "closed", "fill=\"#FFFFFF\""] {
        assert!(hero_of_two.contains(part), "{part}");
    }
    rehearsal.shown.truncate(1);
    assert_eq!(hero(&rehearsal), None);
    rehearsal.shown.push(run("none", 1));
    assert!(hero(&rehearsal).is_some_and(|hero| hero.contains("0 served")), "a law under which nobody came");
}

#[test]
fn thousands_are_set_apart_by_narrow_spaces_and_words_are_not() {
    assert_eq!(thin("12 345 requests, 3 to 1 000"), "12\u{202f}345 requests, 3 to 1\u{202f}000");
}
