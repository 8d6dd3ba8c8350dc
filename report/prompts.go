package report

import (
	"fmt"
	"strings"

	"personaprobe/experiment"
)

// promptFields are what the model saw first, and the date that its chat template was given;
// none for a run of an older build.
func (s *study) promptFields() []field {
	first, _, err := experiment.ReadPrompts(s.results.Dir)
	if err != nil {
		return nil
	}
	name := fmt.Sprintf("prompt of %s, question %d", first.Persona, first.Question)
	return []field{{"prompts SHA-256", s.results.Manifest.Identity.Prompts}, {"date given to the chat template", s.results.Manifest.Date},
		{name, experiment.Excerpt(first.Text)}}
}

// templateTalks says what the chat template adds to prompts that nobody wrote.
func (s *study) templateTalks() *caveat {
	if s.results == nil || len(s.results.Manifest.PromptWarnings) == 0 {
		return nil
	}
	return newCaveat("Text of the chat template", "The model read more than personas and questions: "+
		strings.Join(s.results.Manifest.PromptWarnings, "; ")+".")
}
