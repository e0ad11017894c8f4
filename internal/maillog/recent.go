package maillog

// mostProcesses is of how many processes, at least, something is remembered: more than any server has at work at a time.
const mostProcesses = 2048

// recent remembers something of each process that was at work lately. What is older than the last mostProcesses of them is
// forgotten sooner or later.
type recent[T any] struct {
	young, old map[uint64]T
}

func (r *recent[T]) put(process uint64, v T) {
	if len(r.young) >= mostProcesses {
		r.old, r.young = r.young, nil
	}
	if r.young == nil {
		r.young = make(map[uint64]T)
	}
	r.young[process] = v
}

func (r *recent[T]) get(process uint64) (v T, ok bool) {
	if v, ok = r.young[process]; !ok {
		v, ok = r.old[process]
	}
	return v, ok
}
