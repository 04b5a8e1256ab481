//! Statements of the plugins: their registry, and the values that they keep.

statements! {
    PLUGINS = "SELECT p.name, p.is_enabled, p.component, octet_length(c.octets)::bigint, p.previous,
            (extract(epoch FROM p.installed_at) * 1000000)::bigint
        FROM plugin p JOIN plugin_component c ON c.sha256 = p.component
        ORDER BY p.name";
    COMPONENT = "SELECT sha256, octets FROM plugin_component WHERE sha256 = $1";
    ADD_COMPONENT = "INSERT INTO plugin_component (sha256, octets) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING";
    INSTALL = "INSERT INTO plugin AS p (name, component, installed_at) VALUES ($1, $2, timestamptz 'epoch' + $3::bigint * interval '1 microsecond')
        ON CONFLICT (name) DO UPDATE SET component = excluded.component, installed_at = excluded.installed_at,
            previous = CASE WHEN p.component = excluded.component THEN p.previous ELSE p.component END";
    ENABLE = "UPDATE plugin SET is_enabled = $2 WHERE name = $1";
    ROLL_BACK = "UPDATE plugin SET component = previous, previous = component,
            installed_at = timestamptz 'epoch' + $2::bigint * interval '1 microsecond'
        WHERE name = $1 AND previous IS NOT NULL";
    REMOVE_PLUGIN = "DELETE FROM plugin WHERE name = $1";
    FORGET_COMPONENTS = "DELETE FROM plugin_component c WHERE NOT EXISTS
        (SELECT 1 FROM plugin p WHERE c.sha256 IN (p.component, p.previous))";

    /// The key is answered, to be compared.
    VALUE = "SELECT storage, tenant_id, key, value FROM plugin_value WHERE storage = $1 AND tenant_id = $2 AND key = $3";
    SET_VALUE = "INSERT INTO plugin_value (storage, tenant_id, key, value) VALUES ($1, $2, $3, $4)
        ON CONFLICT (storage, tenant_id, key) DO UPDATE SET value = excluded.value";
    ADD_VALUE = "INSERT INTO plugin_value (storage, tenant_id, key, value) VALUES ($1, $2, $3, $4)
        ON CONFLICT (storage, tenant_id, key) DO NOTHING";
    CHANGE_VALUE = "UPDATE plugin_value SET value = $5
        WHERE storage = $1 AND tenant_id = $2 AND key = $3 AND value = $4";
    DELETE_VALUE = "DELETE FROM plugin_value WHERE storage = $1 AND tenant_id = $2 AND key = $3";
    KEYS = "SELECT key FROM plugin_value
        WHERE storage = $1 AND tenant_id = $2 AND key >= $3 AND key > $4 AND starts_with(key, $3)
        ORDER BY key LIMIT $5";
}
