package server

import (
	"mime"
	"net/http"
	"path"
	"strconv"
	"time"

	"parley/internal/session"
	"parley/llm"
)

// A wireCharacter is a character as clients see it; its file is had on its
// own.
type wireCharacter struct {
	ID       string    `json:"id"`
	Revision int64     `json:"revision"`
	Name     string    `json:"name"`
	File     string    `json:"file"`
	Bytes    int       `json:"bytes"`
	Created  time.Time `json:"created"`
	Deleted  bool      `json:"deleted,omitempty"`
	Folder   bool      `json:"folder,omitempty"` // of the folder of characters
}

func showCharacter(c session.Character) wireCharacter {
	return wireCharacter{c.ID, c.Revision, c.Name, c.File, len(c.Data), c.Created, c.Deleted, c.Folder}
}

func (s *Server) listCharacters(w http.ResponseWriter, r *http.Request) error {
	x, err := s.sessions()
	if err != nil {
		return err
	}
	list, err := x.Characters(r.Context())
	if err != nil {
		return err
	}
	all := []wireCharacter{}
	for _, c := range list {
		all = append(all, showCharacter(c))
	}
	return writeValue(w, r, struct {
		Characters []wireCharacter `json:"characters"`
	}{all})
}

// addCharacter takes the file of a character, which is the body.
func (s *Server) addCharacter(w http.ResponseWriter, r *http.Request) error {
	return s.saveCharacter(w, r, "")
}

func (s *Server) putCharacter(w http.ResponseWriter, r *http.Request) error {
	return s.saveCharacter(w, r, part(r, 1))
}

func (s *Server) saveCharacter(w http.ResponseWriter, r *http.Request, id string) error {
	x, err := s.sessions()
	if err != nil {
		return err
	}
	data, err := readBody(w, r)
	if err != nil {
		return err
	}
	base, err := ifMatch(r)
	if err != nil {
		return err
	}
	file := r.URL.Query().Get("file")
	if file == "" {
		file = "character.yaml" // its content says what it is, and YAML is what other text is
	}
	c, created, err := x.SaveCharacter(r.Context(), id, base, file, data)
	if err != nil {
		return err
	}
	setETag(w, c.Revision)
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		w.Header().Set("Location", "/parley/v1/characters/"+c.ID)
	}
	body, err := encode(showCharacter(c))
	if err != nil {
		return err
	}
	return writeJSON(w, r, status, body)
}

// character finds the character of a request, in the revision that it asks
// for.
func (s *Server) character(r *http.Request) (session.Character, error) {
	x, err := s.sessions()
	if err != nil {
		return session.Character{}, err
	}
	var revision int64
	if v := r.URL.Query().Get("revision"); v != "" {
		if revision, err = strconv.ParseInt(v, 10, 64); err != nil || revision < 1 {
			return session.Character{}, llm.Errorf(llm.Invalid, "revision", "must be the number of a revision, from 1")
		}
	}
	return x.Character(r.Context(), part(r, 1), revision)
}

func (s *Server) readCharacter(w http.ResponseWriter, r *http.Request) error {
	c, err := s.character(r)
	if err != nil {
		return err
	}
	setETag(w, c.Revision)
	return writeValue(w, r, showCharacter(c))
}

// characterFile answers with the file as it was sent. No browser is to run
// anything in it.
func (s *Server) characterFile(w http.ResponseWriter, r *http.Request) error {
	c, err := s.character(r)
	if err != nil {
		return err
	}
	kind := "application/octet-stream"
	switch path.Ext(c.File) {
	case ".png":
		kind = "image/png"
	case ".json":
		kind = "application/json"
	}
	h := w.Header()
	setETag(w, c.Revision)
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(c.File)}))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		if _, err := w.Write(c.Data); err != nil {
			return errLeft
		}
	}
	return nil
}

func (s *Server) deleteCharacter(w http.ResponseWriter, r *http.Request) error {
	x, err := s.sessions()
	if err != nil {
		return err
	}
	base, err := ifMatch(r)
	if err != nil {
		return err
	}
	if err := x.DeleteCharacter(r.Context(), part(r, 1), base); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
