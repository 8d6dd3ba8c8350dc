package chat

import (
	"errors"
	"fmt"
	"runtime"

	controlstructures "github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// A template comes with a model, from strangers. Go ends the process when a stack is
// full, and nothing can recover from that, so recursion is bounded.

// maxNesting bounds brackets within each other, each of which takes the parser some 10 KB.
const maxNesting = 500

// checkNesting counts brackets that are open at once.
func checkNesting(s *tokens.Stream) error {
	depth := 0
	for ; !s.End(); s.Next() {
		switch s.Current().Type {
		case tokens.LeftBrace, tokens.LeftBracket, tokens.LeftParenthesis:
			if depth++; depth > maxNesting {
				return fmt.Errorf("line %d: more than %d brackets within each other", s.Current().Line, maxNesting)
			}
		case tokens.RightBrace, tokens.RightBracket, tokens.RightParenthesis:
			depth--
		}
	}
	return nil
}

// maxFrames is how many function calls deep a macro may be called: some 250 calls within
// each other. The stack has room for hundreds of times as many.
const maxFrames = 5_000

// errTooDeep stands for Python's RecursionError.
var errTooDeep = errors.New("macros call each other too deeply")

// boundedMacro makes gonja's macro statement refuse calls that go too deep.
func boundedMacro(parse parser.ControlStructureParser) parser.ControlStructureParser {
	return func(p, args *parser.Parser) (nodes.ControlStructure, error) {
		node, err := parse(p, args)
		if m, ok := node.(*controlstructures.MacroControlStructure); ok {
			return &macro{m}, err
		}
		return node, err
	}
}

type macro struct {
	*controlstructures.MacroControlStructure
}

func (m *macro) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	call, err := exec.MacroNodeToFunc(m.Macro, r)
	if err != nil {
		return fmt.Errorf("macro %s: %w", m.Name, err)
	}
	r.Environment.Context.Set(m.Name, exec.Macro(func(args *exec.VarArgs) *exec.Value {
		var frame [1]uintptr
		if runtime.Callers(maxFrames, frame[:]) > 0 {
			return exec.AsValue(errTooDeep)
		}
		return call(args)
	}))
	return nil
}

// maxRange is how long a range may be, as in the sandbox in which transformers renders.
const maxRange = 100_000

// boundedRange is Jinja's range([start, ]stop[, step]). (gonja's leaves a goroutine
// behind where a loop breaks.)
func boundedRange(_ *exec.Evaluator, params *exec.VarArgs) ([]int, error) {
	start, stop, step := 0, 0, 1
	for _, a := range params.Args {
		if !a.IsInteger() {
			return nil, exec.ErrInvalidCall(errors.New("range takes integers"))
		}
	}
	switch a := params.Args; len(a) {
	case 1:
		stop = a[0].Integer()
	case 2:
		start, stop = a[0].Integer(), a[1].Integer()
	case 3:
		start, stop, step = a[0].Integer(), a[1].Integer(), a[2].Integer()
	default:
		return nil, exec.ErrInvalidCall(errors.New("range takes one to three integers"))
	}
	if step == 0 {
		return nil, exec.ErrInvalidCall(errors.New("a range's step cannot be 0"))
	}
	out := []int{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(out) == maxRange {
			return nil, exec.ErrInvalidCall(fmt.Errorf("a range has more than %d elements", maxRange))
		}
		out = append(out, i)
		if next := i + step; (next > i) != (step > 0) { // beyond the largest integer
			break
		}
	}
	return out, nil
}
