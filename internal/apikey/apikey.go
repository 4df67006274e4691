// Package apikey makes API keys, keeps them in a file as digests, and
// recognises them.
//
// A key is "parley-" and 130 random bits in base 32, so that its SHA-256 needs
// no salt and no slow hash: nobody guesses one. It is shown once, when it is
// made. A file of keys has one a line: a name, scopes, the time, the digest.
// A line that holds something else is a key in plain text with every scope.
package apikey

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"parley/internal/limits"
)

// Scope is a set of things that a key may be used for.
type Scope uint8

// The scopes. None contains another.
const (
	Read  Scope = 1 << iota // look: models, states, metrics
	Chat                    // have models work: answers, prompts, tokens
	Admin                   // load and unload models, look into the process

	All = Read | Chat | Admin
)

var scopeNames = []struct {
	scope Scope
	name  string
}{{Read, "read"}, {Chat, "chat"}, {Admin, "admin"}}

func (s Scope) String() string {
	var names []string
	for _, n := range scopeNames {
		if s&n.scope != 0 {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, ",")
}

// ParseScope reads names with commas between them.
func ParseScope(text string) (Scope, error) {
	var s Scope
next:
	for word := range strings.SplitSeq(text, ",") {
		for _, n := range scopeNames {
			if n.name == strings.TrimSpace(word) {
				s |= n.scope
				continue next
			}
		}
		return 0, fmt.Errorf("%q is not one of read, chat, admin", word)
	}
	return s, nil
}

// A Key is what is known of a key, which is not the key itself.
type Key struct {
	Name    string // "" for one in plain text
	Scopes  Scope
	Created time.Time // zero for one in plain text
	Digest  [sha256.Size]byte
}

// New makes a key. The text is what its user is given; it is kept nowhere.
// The name must be one that CheckName takes.
func New(name string, scopes Scope, now time.Time) (text string, k Key) {
	text = "parley-" + strings.ToLower(rand.Text())
	return text, Key{Name: name, Scopes: scopes, Created: now.UTC().Truncate(time.Second), Digest: sha256.Sum256([]byte(text))}
}

// Plain is a key that somebody chose, with every scope.
func Plain(text string) Key { return Key{Scopes: All, Digest: sha256.Sum256([]byte(text))} }

// CheckName refuses a name that cannot stand in a file of keys.
func CheckName(name string) error {
	if name == "" {
		return fmt.Errorf("a key needs a name")
	}
	if err := limits.KeyNameBytes.CheckInt(len(name)); err != nil {
		return err
	}
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.@", c)) {
			return fmt.Errorf("a key's name consists of letters, digits and -_.@, and %q is none of them", c)
		}
	}
	return nil
}

const digestMark = "sha256:"

// Line is the key in a file, without a line feed.
func (k Key) Line() string {
	return fmt.Sprintf("%s %s %s %s%s", k.Name, k.Scopes, k.Created.Format(time.RFC3339), digestMark, hex.EncodeToString(k.Digest[:]))
}

// Find gives the key whose text this is. It takes the same time whatever the
// text.
func Find(keys []Key, text string) (k Key, ok bool) {
	digest := sha256.Sum256([]byte(text))
	at := -1
	for i := range keys {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(digest[:], keys[i].Digest[:]), i, at)
	}
	if at < 0 || text == "" {
		return Key{}, false
	}
	return keys[at], true
}

// Parse reads a file of keys. Empty lines and those that begin with # are
// nothing.
func Parse(r io.Reader) ([]Key, error) {
	data, err := io.ReadAll(io.LimitReader(r, limits.KeyFileBytes.Int64()+1))
	if err != nil {
		return nil, err
	}
	if err := limits.KeyFileBytes.CheckInt(len(data)); err != nil {
		return nil, err
	}
	var keys []Key
	for i, line := range lines(data) {
		k, ok, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if ok {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// parseLine reads a line; ok says whether there is a key in it. An error
// repeats nothing of the line.
func parseLine(line string) (k Key, ok bool, err error) {
	line = strings.TrimSpace(line)
	if line == "" || strings.HasPrefix(line, "#") {
		return Key{}, false, nil
	}
	if !strings.Contains(line, digestMark) {
		return Plain(line), true, nil
	}
	f := strings.Fields(line)
	if len(f) != 4 {
		return Key{}, false, fmt.Errorf("a key is a name, scopes, a time and %s with its digest", digestMark)
	}
	k.Name = f[0]
	if err := CheckName(k.Name); err != nil {
		return Key{}, false, err
	}
	if k.Scopes, err = ParseScope(f[1]); err != nil {
		return Key{}, false, err
	}
	if k.Created, err = time.Parse(time.RFC3339, f[2]); err != nil {
		return Key{}, false, fmt.Errorf("the time is not written as 2006-01-02T15:04:05Z")
	}
	digest, err := hex.DecodeString(strings.TrimPrefix(f[3], digestMark))
	if err != nil || len(digest) != sha256.Size || !strings.HasPrefix(f[3], digestMark) {
		return Key{}, false, fmt.Errorf("the digest is not %s and 64 hexadecimal digits", digestMark)
	}
	copy(k.Digest[:], digest)
	return k, true, nil
}

// Remove takes the lines of a name out of a file of keys and leaves the rest
// as it is. It gives how many there were.
func Remove(file []byte, name string) (rest []byte, removed int) {
	for line := range bytes.Lines(file) {
		if k, ok, err := parseLine(string(line)); err == nil && ok && k.Name == name && name != "" {
			removed++
			continue
		}
		rest = append(rest, line...)
	}
	return rest, removed
}

func lines(data []byte) []string {
	return strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
}
