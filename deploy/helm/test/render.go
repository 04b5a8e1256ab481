// Renders the chart as Helm does, where Helm cannot be had: `render WHAT CHART RELEASE NAMESPACE [VALUES]...`.
//
// WHAT is `manifests`, `notes` (what Helm says after an installation), or `values` (the merged ones, as JSON). VALUES are
// files, as for `-f`, or `A.B.C=INTEGER`, as for `--set`. Go templates and sprig are the libraries that Helm itself
// stands on; what Helm adds to them is here, as far as the chart uses it. A function that is not here is an error, and
// not an empty text.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

type values = map[string]interface{}

// Files of the chart beside its templates, by their path.
type files map[string][]byte

// Get answers nothing for a file that is not there, as Helm does.
func (f files) Get(name string) string { return string(f[name]) }

// Glob answers the files whose path matches. A `*` matches no slash; `**` is not used.
func (f files) Glob(pattern string) files {
	found := files{}
	for name, content := range f {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			found[name] = content
		}
	}
	return found
}

func toYAML(value interface{}) string {
	text, err := yaml.Marshal(value)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(text), "\n")
}

// merge lays `over` upon `base`: maps key by key, anything else as a whole; null takes a key away.
func merge(base, over values) values {
	for key, value := range over {
		inner, isMap := value.(values)
		below, wasMap := base[key].(values)
		switch {
		case value == nil:
			delete(base, key)
		case isMap && wasMap:
			base[key] = merge(below, inner)
		default:
			base[key] = value
		}
	}
	return base
}

func readValues(name string) (values, error) {
	if keys, number, ok := strings.Cut(name, "="); ok {
		return setValue(keys, number)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	read := values{}
	if err := yaml.UnmarshalStrict(text, &read); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return read, nil
}

// setValue answers what `--set` makes of an integer; from a file it would be a fraction.
func setValue(keys, number string) (values, error) {
	integer, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, err
	}
	var inner interface{} = integer
	parts := strings.Split(keys, ".")
	for n := len(parts) - 1; n >= 0; n-- {
		inner = values{parts[n]: inner}
	}
	return inner.(values), nil
}

// readTree reads a folder, and what links in it lead to.
func readTree(root string) (files, error) {
	found := files{}
	var walk func(string) error
	walk = func(below string) error {
		entries, err := os.ReadDir(filepath.Join(root, below))
		if err != nil {
			return err
		}
		for _, entry := range entries {
			name := path.Join(below, entry.Name())
			about, err := os.Stat(filepath.Join(root, name))
			if err != nil {
				return err
			}
			if about.IsDir() {
				if err := walk(name); err != nil {
					return err
				}
				continue
			}
			if found[name], err = os.ReadFile(filepath.Join(root, name)); err != nil {
				return err
			}
		}
		return nil
	}
	return found, walk("")
}

// functions are sprig's, without what Helm takes away, and Helm's own.
func functions(all *template.Template) template.FuncMap {
	made := sprig.TxtFuncMap()
	delete(made, "env")
	delete(made, "expandenv")
	own := template.FuncMap{
		"include": func(name string, data interface{}) (string, error) {
			var text bytes.Buffer
			err := all.ExecuteTemplate(&text, name, data)
			return text.String(), err
		},
		"required": func(why string, value interface{}) (interface{}, error) {
			if value == nil || value == "" {
				return nil, errors.New(why)
			}
			return value, nil
		},
		"fail":   func(why string) (string, error) { return "", errors.New(why) },
		"toYaml": toYAML,
		"toJson": func(value interface{}) string {
			text, err := json.Marshal(value)
			if err != nil {
				return ""
			}
			return string(text)
		},
		"fromYamlArray": func(text string) []interface{} {
			read := []interface{}{}
			if err := yaml.Unmarshal([]byte(text), &read); err != nil {
				read = []interface{}{err.Error()}
			}
			return read
		},
		"fromJson": func(text string) values {
			read := values{}
			if err := json.Unmarshal([]byte(text), &read); err != nil {
				read["Error"] = err.Error()
			}
			return read
		},
	}
	for name, function := range own {
		made[name] = function
	}
	return made
}

func run() error {
	if len(os.Args) < 5 {
		return errors.New("usage: render manifests|notes|values CHART RELEASE NAMESPACE [VALUES]...")
	}
	what, root, release, namespace := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	tree, err := readTree(root)
	if err != nil {
		return err
	}
	var about struct {
		Name, Version, AppVersion, Type, ApiVersion, KubeVersion, Description string
		Keywords                                                              []string
	}
	if err := yaml.UnmarshalStrict(tree["Chart.yaml"], &about); err != nil {
		return fmt.Errorf("Chart.yaml: %w", err)
	}
	merged, err := readValues(filepath.Join(root, "values.yaml"))
	if err != nil {
		return err
	}
	for _, name := range os.Args[5:] {
		over, err := readValues(name)
		if err != nil {
			return err
		}
		merged = merge(merged, over)
	}
	if what == "values" {
		return json.NewEncoder(os.Stdout).Encode(merged)
	}
	beside := files{}
	var templates []string
	for name, content := range tree {
		switch {
		case strings.HasPrefix(name, "templates/"):
			templates = append(templates, name)
		case name != "Chart.yaml" && name != "values.yaml" && name != "values.schema.json":
			beside[name] = content
		}
	}
	sort.Strings(templates)
	all := template.New("chart").Option("missingkey=zero")
	all.Funcs(functions(all))
	for _, name := range templates {
		if _, err := all.New(name).Parse(string(tree[name])); err != nil {
			return err
		}
	}
	data := values{
		"Values":  merged,
		"Chart":   about,
		"Files":   beside,
		"Release": values{"Name": release, "Namespace": namespace, "Service": "Helm"},
	}
	for _, name := range templates {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		var text bytes.Buffer
		if err := all.ExecuteTemplate(&text, name, data); err != nil {
			return err
		}
		// Helm leaves out what has no value, and no chart means it.
		if strings.Contains(text.String(), "<no value>") {
			return fmt.Errorf("%s: a value is missing", name)
		}
		isNotes := name == "templates/NOTES.txt"
		switch {
		case what == "notes" && isNotes:
			fmt.Print(text.String())
		case what == "manifests" && !isNotes:
			fmt.Printf("---\n# Source: %s/%s\n%s\n", about.Name, name, strings.TrimSpace(text.String()))
		}
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}
