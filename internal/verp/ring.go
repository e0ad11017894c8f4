package verp

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// KeyFile is the name of the file of keys in the data directory.
const KeyFile = "returnpath.key"

// Lives says how long keys and tokens count. Zero fields take the defaults.
type Lives struct {
	// Key is how long a key makes tokens before another takes its place; default 90 days.
	Key time.Duration
	// Token is how long a token is taken; default 30 days. A key that was replaced is kept as long.
	Token time.Duration
}

func (l *Lives) defaults() {
	if l.Key <= 0 {
		l.Key = 90 * day
	}
	if l.Token <= 0 {
		l.Token = 30 * day
	}
}

// Ring holds the keys, the one that makes tokens first, and the file in which they are kept. It is safe for concurrent use.
type Ring struct {
	file string

	mu    sync.RWMutex // guards the fields below
	lives Lives
	keys  []key // newest first, never empty
}

// key is a secret and when it was made.
type key struct {
	made   time.Time
	secret []byte
}

const secretOctets = 32

// OpenRing reads the keys in a directory, and makes the first when there is none: a file that only its owner may read. A file
// that cannot be understood is an error, for a fresh key would make strangers of all reports that are on their way.
func OpenRing(dir string, lives Lives, now time.Time) (*Ring, error) {
	lives.defaults()
	r := &Ring{file: filepath.Join(dir, KeyFile), lives: lives}
	text, err := os.ReadFile(r.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read keys of the return path: %w", err)
	}
	if err == nil {
		if r.keys, err = parseKeys(string(text)); err != nil {
			return nil, fmt.Errorf("read keys of the return path in %s: %w", r.file, err)
		}
	}
	if err := r.Turn(now); err != nil {
		return nil, err
	}
	return r, nil
}

// SetLives changes how long keys and tokens count from now on.
func (r *Ring) SetLives(lives Lives) {
	lives.defaults()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lives = lives
}

// Turn replaces a key that has served its time, and forgets those whose last token has expired. It is to be called at least
// once a day. When the file cannot be written, the keys stay as they are.
func (r *Ring) Turn(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := r.keys
	if len(keys) == 0 || now.Sub(keys[0].made) >= r.lives.Key {
		fresh := key{made: now.UTC().Truncate(time.Second), secret: make([]byte, secretOctets)}
		_, _ = rand.Read(fresh.secret) // it never fails: crypto/rand ends the program instead
		keys = append([]key{fresh}, keys...)
	}
	for i := 1; i < len(keys); i++ {
		if replaced := keys[i-1].made; now.Sub(replaced) > r.lives.Token+day { // a token counts to the end of its last day
			keys = keys[:i]
		}
	}
	if len(keys) == len(r.keys) && len(keys) > 0 && keys[0].made.Equal(r.keys[0].made) {
		return nil
	}
	if err := save(r.file, keys); err != nil {
		return fmt.Errorf("keep keys of the return path: %w", err)
	}
	r.keys = keys
	return nil
}

// Make returns the text of a token.
func (r *Ring) Make(t Token) string {
	what := t.what()
	r.mu.RLock()
	defer r.mu.RUnlock()
	return encode(append(what[:], proof(r.keys[0].secret, what[:])...))
}

// Read checks the text of a token. Every key is tried, and each comparison takes the same time whatever differs, so that the
// time of an answer tells nothing.
func (r *Ring) Read(text string, now time.Time) (Token, error) {
	b, ok := decode(text)
	if !ok {
		return Token{}, ErrNone
	}
	what, given := b[:whatOctets], b[whatOctets:]
	r.mu.RLock()
	defer r.mu.RUnlock()
	genuine := false
	for i := range r.keys {
		if hmac.Equal(given, proof(r.keys[i].secret, what)) {
			genuine = true
		}
	}
	t := parseWhat(what)
	switch {
	case !genuine:
		return Token{}, ErrForged
	case now.Sub(t.Day) > r.lives.Token+day:
		return Token{}, ErrExpired
	}
	return t, nil
}

// parseKeys reads lines of Unix seconds and hexadecimal digits, newest first.
func parseKeys(text string) ([]key, error) {
	var keys []key
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		made, digits, _ := strings.Cut(line, " ")
		sec, err := strconv.ParseInt(made, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("no time in line %d", len(keys)+1)
		}
		secret, err := hex.DecodeString(strings.TrimSpace(digits))
		if err != nil || len(secret) != secretOctets {
			return nil, fmt.Errorf("no key of %d octets behind %s", secretOctets, made)
		}
		keys = append(keys, key{time.Unix(sec, 0).UTC(), secret})
	}
	if len(keys) == 0 {
		return nil, errors.New("no key in it")
	}
	return keys, nil
}

// save replaces the file: a crash leaves the old one or the new one.
func save(file string, keys []key) (err error) {
	var b strings.Builder
	b.WriteString("# Keys of the tokens in return paths, newest first: when made (Unix seconds), secret. Keep it to yourself.\n")
	for _, k := range keys {
		fmt.Fprintf(&b, "%d %s\n", k.made.Unix(), hex.EncodeToString(k.secret))
	}
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, "."+KeyFile+"-") // it is made with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the reason why it is useless is told
		}
	}()
	_, err = f.WriteString(b.String())
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
