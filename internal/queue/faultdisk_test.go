package queue

import (
	"errors"
	"io"
	"maps"

	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// errPower is what every call returns once the power is out.
var errPower = errors.New("the power is out")

// faultDisk is a disk in memory that fails on demand, and that forgets what was not synced when the power goes.
//
// It is as unkind as a disk may be: after a power cut, each write that was not synced may be there or not, each of its sectors
// for itself, whatever came before or after it; and each creation, renaming or removal of a name in a directory that was not
// synced may have happened or not.
type faultDisk struct {
	mu      sync.Mutex
	names   map[string]*inode // as the process sees them
	safe    map[string]*inode // as they are after a power cut
	renames []nameOp          // not synced yet, in order

	ops  int                                // calls that change something, so far
	cut  int                                // the power goes at this op; 0: never
	room int64                              // octets that may still be written
	free int64                              // what Free says
	fail func(op string, name string) error // asked before each call; op is "write", "sync", "create", ...
	dead bool
}

// inode is a file, whatever its names.
type inode struct {
	data   []byte
	safe   []byte
	writes []inodeWrite // not synced yet
}

type inodeWrite struct {
	off  int64
	data []byte // nil: truncate to off
}

// nameOp is a change of a directory: a name gets a file, or loses it.
type nameOp struct {
	name string
	node *inode
	with string // a name in the same directory that is lost in the same moment: a rename
}

func newFaultDisk() *faultDisk {
	return &faultDisk{names: make(map[string]*inode), safe: make(map[string]*inode), room: 1 << 60, free: 1 << 60}
}

// begin is called by every operation.
func (d *faultDisk) begin(op, name string, changes bool) error {
	if changes {
		if d.ops++; d.ops == d.cut {
			d.dead = true
		}
	}
	if d.dead {
		return errPower
	}
	if d.fail != nil {
		return d.fail(op, name)
	}
	return nil
}

func dirOf(name string) string { dir, _, _ := strings.Cut(name, "/"); return dir }

func (d *faultDisk) MkdirAll(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.begin("mkdir", dir, false)
}

func (d *faultDisk) List(dir string) ([]fileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("list", dir, false); err != nil {
		return nil, err
	}
	var infos []fileInfo
	for name, node := range d.names {
		if dirOf(name) == dir {
			infos = append(infos, fileInfo{strings.TrimPrefix(name, dir+"/"), int64(len(node.data))})
		}
	}
	return infos, nil
}

func (d *faultDisk) Create(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("create", name, true); err != nil {
		return nil, err
	}
	if d.names[name] != nil {
		return nil, os.ErrExist
	}
	node := &inode{}
	d.names[name] = node
	d.renames = append(d.renames, nameOp{name: name, node: node})
	return &faultFile{d: d, node: node, name: name}, nil
}

func (d *faultDisk) Open(name string, _ bool) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("open", name, false); err != nil {
		return nil, err
	}
	node := d.names[name]
	if node == nil {
		return nil, os.ErrNotExist
	}
	return &faultFile{d: d, node: node, name: name}, nil
}

func (d *faultDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("remove", name, true); err != nil {
		return err
	}
	if d.names[name] == nil {
		return os.ErrNotExist
	}
	delete(d.names, name)
	d.renames = append(d.renames, nameOp{name: name})
	return nil
}

func (d *faultDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("rename", from, true); err != nil {
		return err
	}
	node := d.names[from]
	if node == nil {
		return os.ErrNotExist
	}
	delete(d.names, from)
	d.names[to] = node
	if dirOf(from) == dirOf(to) {
		d.renames = append(d.renames, nameOp{name: to, node: node, with: from})
	} else {
		d.renames = append(d.renames, nameOp{name: to, node: node}, nameOp{name: from})
	}
	return nil
}

// apply makes a change of a directory last.
func (op *nameOp) apply(names map[string]*inode) {
	if op.with != "" {
		delete(names, op.with)
	}
	if op.node == nil {
		delete(names, op.name)
		return
	}
	names[op.name] = op.node
}

func (d *faultDisk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("syncdir", dir, true); err != nil {
		return err
	}
	d.renames = slices.DeleteFunc(d.renames, func(op nameOp) bool {
		if dirOf(op.name) != dir {
			return false
		}
		op.apply(d.safe)
		return true
	})
	return nil
}

func (d *faultDisk) Free() (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.free, d.begin("free", "", false)
}

// powerCut returns the disk as it is when the power comes back.
func (d *faultDisk) powerCut(rng *rand.Rand) *faultDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	after := newFaultDisk()
	for _, op := range d.renames {
		if rng.IntN(2) == 0 {
			op.apply(d.safe)
		}
	}
	for name, node := range d.safe {
		data := slices.Clone(node.safe)
		for _, w := range node.writes {
			data = w.partly(data, rng)
		}
		after.names[name] = &inode{data: data, safe: slices.Clone(data)}
		after.safe[name] = after.names[name]
	}
	return after
}

// put applies a write.
func (w *inodeWrite) put(data []byte) []byte {
	if w.data == nil {
		if int(w.off) <= len(data) {
			return data[:w.off]
		}
		return append(data, make([]byte, int(w.off)-len(data))...)
	}
	if end := int(w.off) + len(w.data); end > len(data) {
		data = append(data, make([]byte, end-len(data))...)
	}
	copy(data[w.off:], w.data)
	return data
}

// partly applies what a power cut left of a write: all, nothing, a beginning, or some of its sectors.
func (w *inodeWrite) partly(data []byte, rng *rand.Rand) []byte {
	const sector = 512
	switch rng.IntN(5) {
	case 0:
		return data
	case 1:
		return w.put(data)
	case 2:
		if w.data == nil {
			return data
		}
		part := inodeWrite{w.off, w.data[:rng.IntN(len(w.data)+1)]}
		return part.put(data)
	case 3: // the length, and zeros
		if w.data == nil {
			return data
		}
		zeros := inodeWrite{w.off, make([]byte, len(w.data))}
		if int(w.off) < len(data) {
			return data
		}
		return zeros.put(data)
	}
	for at := 0; at < len(w.data); at += sector {
		if rng.IntN(2) == 0 {
			part := inodeWrite{w.off + int64(at), w.data[at:min(at+sector, len(w.data))]}
			data = part.put(data)
		}
	}
	return data
}

// spoil changes an octet of a file.
func (d *faultDisk) spoil(name string, off int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names[name].data[off] ^= 0x20
	d.names[name].safe[off] ^= 0x20
}

// find returns the names that contain a text.
func (d *faultDisk) find(part string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for name := range d.names {
		if strings.Contains(name, part) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// content returns what a file holds.
func (d *faultDisk) content(name string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return string(d.names[name].data)
}

// set changes the settings of a disk in use.
func (d *faultDisk) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

type faultFile struct {
	d      *faultDisk
	node   *inode
	name   string
	closed bool
}

func (f *faultFile) ReadAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.closed {
		return 0, os.ErrClosed
	}
	if f.d.fail != nil {
		if err := f.d.fail("read", f.name); err != nil {
			return 0, err
		}
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.node.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *faultFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.Writev([][]byte{b}, off)
	return int(n), err
}

func (f *faultFile) Writev(bufs [][]byte, off int64) (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	out := f.d.dead
	if err := f.d.begin("write", f.name, true); out || err != nil && !errors.Is(err, errPower) {
		return 0, err
	}
	var all []byte
	for _, b := range bufs {
		all = append(all, b...)
	}
	var err error
	if f.d.dead {
		err = errPower // the write may have reached the disk, or a part of it
	} else if int64(len(all)) > f.d.room {
		all, err = all[:f.d.room], syscall.ENOSPC
	}
	f.d.room -= int64(len(all))
	w := inodeWrite{off, slices.Clone(all)}
	if len(all) > 0 {
		f.node.data = w.put(f.node.data)
		f.node.writes = append(f.node.writes, w)
	}
	return int64(len(all)), err
}

func (f *faultFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.begin("sync", f.name, true); err != nil {
		return err
	}
	for _, w := range f.node.writes {
		f.node.safe = w.put(f.node.safe)
	}
	f.node.writes = nil
	return nil
}

func (f *faultFile) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.begin("truncate", f.name, true); err != nil {
		return err
	}
	f.d.room += max(int64(len(f.node.data))-size, 0)
	w := inodeWrite{off: size}
	f.node.data = slices.Clone(w.put(f.node.data))
	f.node.writes = append(f.node.writes, w)
	return nil
}

func (f *faultFile) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.node.data)), f.d.begin("size", f.name, false)
}

func (f *faultFile) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.closed = true
	return nil
}

// killed returns the disk as it is after the process alone died: with everything that was written.
func (d *faultDisk) killed() *faultDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	after := newFaultDisk()
	after.names, after.safe, after.renames = maps.Clone(d.names), maps.Clone(d.safe), slices.Clone(d.renames)
	return after
}

// loose returns what a power cut could take away: names, and files with writes, that are not synced.
func (d *faultDisk) loose() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for _, op := range d.renames {
		names = append(names, "name "+op.name)
	}
	for name, node := range d.names {
		if len(node.writes) > 0 {
			names = append(names, "content of "+name)
		}
	}
	return names
}

// opCount is how often something was changed.
func (d *faultDisk) opCount() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}
