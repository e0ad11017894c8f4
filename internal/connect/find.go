package connect

import (
	"slices"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// Find returns the installation that is meant: of one kind of mail server, or of whichever is there for an empty mta; by name
// or directory where there are several. The error says what was found and which argument chooses.
func (e *Engine) Find(mta mtaconf.MTA, instance string) (*Target, error) {
	found, err := e.installed(mta)
	if err != nil {
		return nil, err
	}
	return choose(found, mta, instance)
}

// Connected returns the connected server that is meant, also one whose software is gone. Without any, it is what Find returns.
func (e *Engine) Connected(mta mtaconf.MTA, instance string) (*Target, error) {
	found, err := e.installed(mta)
	if err != nil {
		return nil, err
	}
	kept, err := e.kept(mta)
	if err != nil {
		return nil, err
	}
	for _, k := range kept {
		if i := slices.IndexFunc(found, func(t *Target) bool { return t.Key() == k.Key() }); i >= 0 {
			k.planner = found[i].planner
		}
	}
	if len(kept) == 0 {
		return choose(found, mta, instance)
	}
	return choose(kept, mta, instance)
}

// installed asks the planners.
func (e *Engine) installed(mta mtaconf.MTA) ([]*Target, error) {
	var found []*Target
	known := mta == ""
	for _, p := range e.o.Planners {
		if mta != "" && p.MTA() != mta {
			continue
		}
		known = true
		all, err := p.Find(e.sys)
		if err != nil {
			return nil, err
		}
		for _, i := range all {
			found = append(found, &Target{i, p})
		}
	}
	if !known {
		return nil, i18n.Errorf("connect.find.unknown", "mta", string(mta))
	}
	return found, nil
}

// kept returns the servers that are connected.
func (e *Engine) kept(mta mtaconf.MTA) ([]*Target, error) {
	names, err := e.sys.ReadDir(stateDir)
	if err != nil {
		return nil, err
	}
	var all []*Target
	for _, n := range names {
		if strings.HasPrefix(n, ".") {
			continue
		}
		m, err := (&store{&e.disk, stateDir + "/" + n}).manifest()
		if err != nil {
			return nil, err
		}
		if m != nil && (mta == "" || m.Instance.MTA == mta) {
			all = append(all, &Target{Instance: m.Instance})
		}
	}
	return all, nil
}

// choose takes the one that is meant.
func choose(found []*Target, mta mtaconf.MTA, instance string) (*Target, error) {
	if mta == "" { // Plesk knows the server below it better than the server itself does
		if i := slices.IndexFunc(found, func(t *Target) bool { return t.Instance.MTA == mtaconf.Plesk }); i >= 0 {
			found = found[i : i+1]
		}
	}
	fit := found
	if instance != "" {
		fit = nil
		for _, t := range found {
			if t.Instance.Name == instance || t.Instance.Dir == instance {
				fit = append(fit, t)
			}
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(found) == 0 && mta == "":
		return nil, i18n.Errorf("connect.find.none")
	case len(found) == 0:
		return nil, i18n.Errorf("connect.find.none_of", "mta", string(mta))
	case len(fit) == 0:
		return nil, i18n.Errorf("connect.find.no_instance", "instance", instance, "found", list(found))
	case mta == "" && severalKinds(fit):
		return nil, i18n.Errorf("connect.find.kinds", "found", list(fit), "first", string(fit[0].Instance.MTA))
	}
	return nil, i18n.Errorf("connect.find.instances", "found", list(fit), "first", handle(fit[0]))
}

func severalKinds(all []*Target) bool {
	return slices.ContainsFunc(all, func(t *Target) bool { return t.Instance.MTA != all[0].Instance.MTA })
}

// list names installations: "postfix (/etc/postfix), exim (/etc/exim4/exim4.conf)".
func list(all []*Target) string {
	var s []string
	for _, t := range all {
		name := string(t.Instance.MTA)
		if t.Instance.Name != "" {
			name += " " + t.Instance.Name
		}
		s = append(s, name+" ("+t.Instance.Dir+")")
	}
	return strings.Join(s, ", ")
}

// handle is what chooses an installation.
func handle(t *Target) string {
	if t.Instance.Name != "" {
		return t.Instance.Name
	}
	return t.Instance.Dir
}
