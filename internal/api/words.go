package api

import (
	"errors"

	"github.com/danielgtaylor/huma/v2"

	"ukai/internal/i18n"
)

// worded is a problem whose text the client has in its own catalogue, so that it can be said in the language of whoever asked.
type worded struct {
	huma.ErrorModel
	Key  string `json:"key"`
	Args []any  `json:"args"`
}

// inWords makes an error that is made for the operator a problem in any language; another one is told as failed does.
func inWords(status int, err error) error {
	var e *i18n.Error
	if !errors.As(err, &e) {
		return failed(err)
	}
	w := &worded{ErrorModel: huma.ErrorModel{Status: status, Title: e.Key, Detail: e.Text(i18n.EN)}, Key: e.Key}
	for _, a := range e.Args {
		if cause, ok := a.(error); ok {
			a = cause.Error()
		}
		w.Args = append(w.Args, a)
	}
	return w
}

// Unwrap returns the problem in words of the catalogue, where it came in such.
func (p *Problem) Unwrap() error {
	if p.Key == "" {
		return nil
	}
	return i18n.Errorf(p.Key, p.Args...)
}
