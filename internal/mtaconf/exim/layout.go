package exim

import (
	"errors"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// layout is where a configuration lies, and who writes it.
type layout struct {
	kind     layoutKind
	path     string            // of the file, or of conf.d
	settings map[string]string // update-exim4.conf.conf
}

type layoutKind uint8

const (
	plain       layoutKind = iota // a file that Exim reads itself
	template                      // Debian: update-exim4.conf makes the file from exim4.conf.template
	splitConf                     // Debian: from the files in conf.d
	cpanel                        // cPanel: buildeximconf makes it, with what stands in exim.conf.local
	directAdmin                   // DirectAdmin: made by "build exim_conf", which leaves the included files alone
)

// Where Debian's packages have their files.
const (
	debianDir      = "/etc/exim4"
	debianSettings = debianDir + "/update-exim4.conf.conf"
	cpanelLocal    = "/etc/exim.conf.local"
)

// find returns the configuration that Exim would use. Debian's Exim reads exim4.conf where there is one, and else what
// update-exim4.conf made; elsewhere the path is built in: those of the packages of Red Hat, Alpine, cPanel, FreeBSD and of Exim's
// own makefile are looked at.
func find(sys *mtaconf.System) *layout {
	if sys.Exists(debianDir + "/exim4.conf") {
		return &layout{kind: plain, path: debianDir + "/exim4.conf"}
	}
	if text, err := sys.ReadFile(debianSettings); err == nil {
		s := shellSettings(string(text))
		if s["dc_use_split_config"] == "true" {
			return &layout{kind: splitConf, path: debianDir + "/conf.d", settings: s}
		}
		return &layout{kind: template, path: debianDir + "/exim4.conf.template", settings: s}
	}
	for _, p := range []string{"/etc/exim/exim.conf", "/etc/exim.conf", "/usr/local/etc/exim/configure", "/usr/exim/configure"} {
		if !sys.Exists(p) {
			continue
		}
		l := &layout{kind: plain, path: p}
		switch {
		case p == "/etc/exim.conf" && (sys.Exists("/usr/local/cpanel") || sys.Exists(cpanelLocal)):
			l.kind = cpanel
		case sys.Exists("/usr/local/directadmin"):
			l.kind = directAdmin
		}
		return l
	}
	return nil
}

// dir is what the installation is known by.
func (l *layout) dir() string { return l.path }

// home is the directory for files of ours: one of its own beside the configuration, which can be given to whoever runs ukai.
func (l *layout) home() string {
	dir := path.Dir(l.path)
	if dir == "/etc" {
		return "/etc/exim-ukai"
	}
	return path.Join(dir, "ukai")
}

// debian tells whether update-exim4.conf makes the file that Exim reads.
func (l *layout) debian() bool { return l.kind == template || l.kind == splitConf }

var settingLine = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)=(.*)$`)

// shellSettings reads a file of shell variables. Debian's is included by a shell, but written by debconf, with single quotes.
func shellSettings(text string) map[string]string {
	all := make(map[string]string)
	for _, line := range split(text) {
		if m := settingLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			v := strings.TrimSpace(m[2])
			if len(v) > 1 && (v[0] == '\'' || v[0] == '"') && v[len(v)-1] == v[0] {
				v = v[1 : len(v)-1]
			}
			all[m[1]] = v
		}
	}
	return all
}

// presets are the macros that update-exim4.conf puts in.
func (l *layout) presets() []macro {
	if !l.debian() {
		return nil
	}
	kind := strings.ToLower(l.settings["dc_eximconfig_configtype"])
	all := []macro{{"DCconfig_" + kind, "1"}, {"DC_eximconfig_configtype", kind}, {"DCsmarthost", l.settings["dc_smarthost"]}}
	if v := l.settings["dc_local_interfaces"]; v != "" {
		if strings.Contains(v, ";") && !strings.HasPrefix(v, "<") {
			v = "<; " + v
		}
		all = append(all, macro{"MAIN_LOCAL_INTERFACES", v})
	}
	for _, k := range slices.Sorted(maps.Keys(l.settings)) {
		if k[0] >= 'A' && k[0] <= 'Z' && k != "CFILEMODE" {
			all = append(all, macro{k, l.settings[k]})
		}
	}
	return all
}

// read reads the whole configuration.
func (l *layout) read(sys *mtaconf.System) (*conf, error) {
	r := &reader{sys: sys, conf: newConf(), macros: l.presets()}
	files, err := l.files(sys)
	if err != nil {
		return nil, i18n.Errorf("mtaconf.exim.error.unread", "path", l.path, "cause", err)
	}
	r.conf.generated = l.kind == cpanel
	for _, f := range files {
		var refused *i18n.Error
		switch err := r.file(f); {
		case errors.As(err, &refused):
			return nil, err
		case err != nil:
			return nil, i18n.Errorf("mtaconf.exim.error.unread", "path", f, "cause", err)
		}
	}
	if len(r.conds) > 0 {
		h := r.conds[0].head
		return nil, i18n.Errorf("mtaconf.exim.error.ifdef", "path", h.src.path, "line", h.from+1)
	}
	return r.conf, nil
}

// partName is what update-exim4.conf takes for a part; NAME.rul stands in for NAME.
var partName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// files returns what is read, in order.
func (l *layout) files(sys *mtaconf.System) ([]string, error) {
	var files []string
	switch l.kind {
	case template:
		if sys.Exists(debianDir + "/exim4.conf.localmacros") {
			files = append(files, debianDir+"/exim4.conf.localmacros")
		}
		return append(files, l.path), nil
	case splitConf:
		for _, section := range []string{"main", "acl", "router", "transport", "retry", "rewrite", "auth"} {
			dir := path.Join(l.path, section)
			names, err := sys.ReadDir(dir)
			if err != nil {
				return nil, err
			}
			for _, n := range names {
				if !partName.MatchString(n) {
					continue
				}
				if sys.Exists(path.Join(dir, n+".rul")) {
					n += ".rul"
				}
				files = append(files, path.Join(dir, n))
			}
		}
		return files, nil
	}
	return []string{l.path}, nil
}
