package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// toJSON is transformers' tojson: json.dumps with ensure_ascii=False, that is
// ", " and ": " between items and no escapes for HTML. Keys are sorted, because
// a Go map has no order.
func toJSON(_ *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	var indent *exec.Value
	for name, v := range params.KwArgs {
		if name == "indent" {
			indent = v
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	value := in.ToGoSimpleType(false)
	if err, bad := value.(error); bad {
		return exec.AsValue(err)
	}
	if err := enc.Encode(value); err != nil {
		return exec.AsValue(fmt.Errorf("tojson: %w", err))
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if indent == nil || !indent.IsInteger() {
		return exec.AsSafeValue(spaced(text))
	}
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(text), "", strings.Repeat(" ", max(0, indent.Integer()))); err != nil {
		return exec.AsValue(fmt.Errorf("tojson: %w", err))
	}
	return exec.AsSafeValue(out.String())
}

// spaced adds the spaces that Python writes after commas and colons, outside
// strings.
func spaced(text string) string {
	var b strings.Builder
	inString, escaped := false, false
	for _, r := range text {
		b.WriteRune(r)
		switch {
		case escaped:
			escaped = false
		case inString && r == '\\':
			escaped = true
		case r == '"':
			inString = !inString
		case !inString && (r == ',' || r == ':'):
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// strftimeNow is transformers' strftime_now(format).
func (t *Template) strftimeNow(args *exec.VarArgs) (string, error) {
	if len(args.Args) != 1 {
		return "", errors.New("strftime_now takes one format")
	}
	if t.Date.IsZero() {
		return "", errors.New("strftime_now: no date was given to render with")
	}
	return strftime(args.Args[0].String(), t.Date)
}

// layouts are the directives of C's strftime in Go's notation.
var layouts = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'B': "January", 'b': "Jan", 'h': "Jan", 'A': "Monday", 'a': "Mon",
	'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'j': "002", 'Z': "MST", 'z': "-0700",
	'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'R': "15:04",
}

func strftime(format string, now time.Time) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		if format[i] == '%' {
			b.WriteByte('%')
			continue
		}
		layout, ok := layouts[format[i]]
		if !ok {
			return "", fmt.Errorf("strftime_now: unknown directive %%%c", format[i])
		}
		b.WriteString(now.Format(layout))
	}
	return b.String(), nil
}

// generation is transformers' {% generation %} tag, which marks the assistant's
// text for training and otherwise renders its body.
type generation struct {
	at   *tokens.Token
	body *nodes.Wrapper
}

func (g *generation) Position() *tokens.Token { return g.at }
func (g *generation) String() string          { return "generation" }

func (g *generation) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	return r.ExecuteWrapper(g.body)
}

func generationParser(p, args *parser.Parser) (nodes.ControlStructure, error) {
	g := &generation{at: p.Current()}
	body, end, err := p.WrapUntil("endgeneration")
	if err != nil {
		return nil, err
	}
	if !args.End() || !end.End() {
		return nil, args.Error("generation takes no arguments", nil)
	}
	g.body = body
	return g, nil
}
