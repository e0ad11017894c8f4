package postfix

import (
	"path"
	"slices"

	"ukai/internal/mtaconf"
)

// homes are where a Postfix has its configuration.
var homes = []string{"/etc/postfix", "/usr/local/etc/postfix", "/opt/local/etc/postfix"}

// Find returns the instances: each that has a main.cf and a master.cf, and those that it names in multi_instance_directories
// and that are switched on (MULTI_INSTANCE_README).
func (Planner) Find(sys *mtaconf.System) ([]mtaconf.Instance, error) {
	var all []mtaconf.Instance
	for _, dir := range homes {
		if !sys.Exists(path.Join(dir, "main.cf")) || !sys.Exists(path.Join(dir, "master.cf")) {
			continue
		}
		s := &server{sys: sys, dir: dir}
		m, err := s.readMain()
		if err != nil { // it is there; Plan says what is the matter with it
			all = append(all, mtaconf.Instance{MTA: mtaconf.Postfix, Dir: dir})
			continue
		}
		s.main = m
		all = append(all, mtaconf.Instance{MTA: mtaconf.Postfix, Dir: dir, Name: m.get("multi_instance_name"), Version: s.readVersion().String()})
		for _, d := range m.list("multi_instance_directories") {
			if more, ok := secondary(sys, d); ok && !slices.ContainsFunc(all, func(i mtaconf.Instance) bool { return i.Dir == more.Dir }) {
				more.Version = s.readVersion().String()
				all = append(all, more)
			}
		}
	}
	return all, nil
}

// secondary looks at another instance.
func secondary(sys *mtaconf.System, dir string) (mtaconf.Instance, bool) {
	inst := mtaconf.Instance{MTA: mtaconf.Postfix, Dir: path.Clean(dir), Name: path.Base(dir)}
	if !sys.Exists(path.Join(dir, "main.cf")) || !sys.Exists(path.Join(dir, "master.cf")) {
		return inst, false
	}
	m, err := (&server{sys: sys, dir: inst.Dir}).readMain()
	if err != nil {
		return inst, true
	}
	if name := m.get("multi_instance_name"); name != "" {
		inst.Name = name
	}
	return inst, m.yes("multi_instance_enable")
}
