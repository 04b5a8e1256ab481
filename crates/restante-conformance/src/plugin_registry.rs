//! Cases of the registry of plugins: which component is in force, and what is kept of the others.
#![expect(missing_docs, reason = "the name of a case is the promise it checks")]

use std::time::{Duration, SystemTime};

use restante_store::{ComponentDigest, InstalledPlugin, PluginRegistry};
use restante_types::Octets;

use crate::PluginRegistryFixture;

/// The only list of these cases.
#[doc(hidden)]
#[macro_export]
macro_rules! plugin_registry_cases {
    ($then:ident { $($arg:tt)* }) => { $crate::$then! { { $($arg)* } plugin_registry:
        an_empty_registry_has_no_plugins,
        an_installed_plugin_is_in_force_and_enabled,
        a_new_version_keeps_the_one_before,
        the_same_component_again_changes_nothing_but_the_time,
        a_disabled_plugin_stays_so_over_a_new_version,
        rolling_back_puts_the_previous_one_in_force_and_again_undoes_it,
        components_that_nobody_needs_are_forgotten,
        one_component_serves_two_plugins,
        plugins_come_by_name,
        what_is_not_there_cannot_be_changed,
        a_large_component_comes_back,
        a_restart_keeps_plugins,
    } };
}

const ONE: ComponentDigest = [1; 32];
const TWO: ComponentDigest = [2; 32];
const THREE: ComponentDigest = [3; 32];

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + second)
}

async fn install(registry: &dyn PluginRegistry, name: &str, digest: ComponentDigest, second: u64) {
    let component = vec![digest[0]; usize::from(digest[0])];
    registry
        .install(name, digest, component, at(second))
        .await
        .unwrap();
}

async fn only(registry: &dyn PluginRegistry) -> InstalledPlugin {
    let mut plugins = registry.plugins().await.unwrap();
    assert_eq!(plugins.len(), 1);
    plugins.remove(0)
}

async fn has(registry: &dyn PluginRegistry, digest: &ComponentDigest) -> bool {
    registry.component(digest).await.unwrap().is_some()
}

pub async fn an_empty_registry_has_no_plugins(fixture: &mut impl PluginRegistryFixture) {
    let registry = fixture.registry();
    assert_eq!(registry.plugins().await.unwrap(), []);
    assert_eq!(registry.component(&ONE).await.unwrap(), None);
}

pub async fn an_installed_plugin_is_in_force_and_enabled(fixture: &mut impl PluginRegistryFixture) {
    let registry = fixture.registry();
    install(&*registry, "seal", TWO, 0).await;
    let expected = InstalledPlugin {
        name: "seal".to_owned(),
        is_enabled: true,
        component: TWO,
        octets: Octets(2),
        previous: None,
        installed_at: at(0),
    };
    assert_eq!(only(&*registry).await, expected);
    assert_eq!(registry.component(&TWO).await.unwrap(), Some(vec![2, 2]));
}

pub async fn a_new_version_keeps_the_one_before(fixture: &mut impl PluginRegistryFixture) {
    let registry = fixture.registry();
    install(&*registry, "seal", ONE, 0).await;
    install(&*registry, "seal", TWO, 1).await;
    let plugin = only(&*registry).await;
    assert_eq!((plugin.component, plugin.previous), (TWO, Some(ONE)));
    assert_eq!((plugin.octets, plugin.installed_at), (Octets(2), at(1)));
    assert!(has(&*registry, &ONE).await);
}

pub async fn the_same_component_again_changes_nothing_but_the_time(fixture: &mut impl PluginRegistryFixture) {
    let registry = fixture.registry();
    install(&*registry, "seal", ONE, 0).await;
    install(&*registry, "seal", TWO, 1).await;
    install(&*registry, "seal", TWO, 2).await;
    let plugin = only(&*registry).await;
    assert_eq!((plugin.component, plugin.previous), (TWO, Some(ONE)));
    assert_eq!(plugin.installed_at, at(2));
}

pub async fn a_disabled_plugin_stays_so_over_a_new_version(fixture: &mut impl PluginRegistryFixture) {
    let registry = fixture.registry();
    install(&*registry, "seal", ONE, 0).await;
    assert!(registry.set_enabled("seal", false).await.unwrap());
    install(&*registry, "seal", TWO, 1).await;
    assert!(!only(&*registry).await.is_enabled);
    assert!(registry.set_enabled("seal", true).await.unwrap());
    assert!(only(&*registry).await.is_enabled);
}

pub async fn rolling_back_puts_the_previous_one_in_force_and_again_undoes_it(
    fixture: &mut impl PluginRegistryFixture,
) {
    let registry = fixture.registry();
    install(&*registry, "seal", ONE, 0).await;
    install(&*registry, "seal", TWO, 1).await;
    for (second, component, previous) in [(2, ONE, TWO), (3, TWO, ONE)] {
        assert!(registry.roll_back("seal", at(second)).await.unwrap());
        let plugin = only(&*registry).await;
        assert_eq!((plugin.component, plugin.previous), (component, Some(previous)));
        assert_eq!(plugin.octets, Octets(u64::from(component[0])));
        assert_eq!(plugin.installed_at, at(second));
    }
}

pub async fn components_that_nobody_needs_are_forgotten(fixture: &mut impl PluginRegistryFixture) {
    let registry = fixture.registry();
    for (second, digest) in [(0, ONE), (1, TWO), (2, THREE)] {
        install(&*registry, "seal", digest, second).await;
    }
    assert!(!has(&*registry, &ONE).await);
    assert!(has(&*registry, &TWO).await && has(&*registry, &THREE).await);
    assert!(registry.remove("seal").await.unwrap());
    assert!(!has(&*registry, &TWO).await && !has(&*registry, &THREE).await);
    assert_eq!(registry.plugins().await.unwrap(), []);
}

pub async fn one_component_serves_two_plugins(fixture: &mut impl PluginRegistryFixture) {
    let registry = fixture.registry();
    install(&*registry, "one", ONE, 0).await;
    install(&*registry, "two", ONE, 0).await;
    registry.remove("one").await.unwrap();
    assert!(has(&*registry, &ONE).await);
    assert_eq!(only(&*registry).await.name, "two");
}

pub async fn plugins_come_by_name(fixture: &mut impl PluginRegistryFixture) {
    let registry = fixture.registry();
    for name in ["seal", "jmap", "a-b", "a_b", "a0"] {
        install(&*registry, name, ONE, 0).await;
    }
    let names: Vec<String> = registry
        .plugins()
        .await
        .unwrap()
        .into_iter()
        .map(|plugin| plugin.name)
        .collect();
    assert_eq!(names, ["a-b", "a0", "a_b", "jmap", "seal"]);
}

pub async fn what_is_not_there_cannot_be_changed(fixture: &mut impl PluginRegistryFixture) {
    let registry = fixture.registry();
    assert!(!registry.set_enabled("seal", true).await.unwrap());
    assert!(!registry.roll_back("seal", at(0)).await.unwrap());
    assert!(!registry.remove("seal").await.unwrap());
    install(&*registry, "seal", ONE, 0).await;
    assert!(
        !registry.roll_back("seal", at(1)).await.unwrap(),
        "there is no previous one"
    );
}

pub async fn a_large_component_comes_back(fixture: &mut impl PluginRegistryFixture) {
    let registry = fixture.registry();
    let component: Vec<u8> = (0..=255).cycle().take(20_000_000).collect();
    registry
        .install("large", ONE, component.clone(), at(0))
        .await
        .unwrap();
    assert!(registry.component(&ONE).await.unwrap() == Some(component));
}

pub async fn a_restart_keeps_plugins(fixture: &mut impl PluginRegistryFixture) {
    install(&*fixture.registry(), "seal", TWO, 0).await;
    fixture.restart().await;
    let registry = fixture.registry();
    assert_eq!(only(&*registry).await.component, TWO);
    assert!(has(&*registry, &TWO).await);
}
