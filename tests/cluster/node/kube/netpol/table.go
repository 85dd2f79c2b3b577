package netpol

import (
	"fmt"
	"strings"
)

const table = "ip headrace-netpol"

// Table is the nftables script that puts the state's policies into force in one transaction.
//
// The forward hook sees what goes from and to pods, after services' addresses have become pods'. The input hook sees what
// pods send to the node itself. What the node sends to its pods, such as probes, passes neither, as the API wants it.
func (s *State) Table() string {
	outgoing, incoming := s.chains(egress), s.chains(ingress)
	var script strings.Builder
	fmt.Fprintf(&script, "table %s\ndelete table %s\ntable %s {\n", table, table, table)
	for _, each := range append(outgoing, incoming...) {
		writeChain(&script, each)
	}
	writeHook(&script, "forward", verdicts(egress, outgoing), verdicts(ingress, incoming))
	writeHook(&script, "input", verdicts(egress, outgoing))
	script.WriteString("}\n")
	return script.String()
}

func writeChain(script *strings.Builder, c chain) {
	fmt.Fprintf(script, "  chain %s {\n", c.name)
	for _, match := range c.admits {
		fmt.Fprintf(script, "    %s\n", strings.TrimSpace(match+" return"))
	}
	script.WriteString("    drop\n  }\n")
}

func writeHook(script *strings.Builder, hook string, rules ...string) {
	fmt.Fprintf(script, "  chain %s {\n    type filter hook %s priority filter;\n", hook, hook)
	script.WriteString("    ct state established,related accept\n")
	for _, rule := range rules {
		script.WriteString(rule)
	}
	script.WriteString("  }\n")
}

// verdicts sends a packet to the chain of the pod that it comes from or goes to; a pod that is not isolated has none.
func verdicts(d direction, chains []chain) string {
	if len(chains) == 0 {
		return ""
	}
	var jumps []string
	for _, each := range chains {
		jumps = append(jumps, fmt.Sprintf("%s : jump %s", each.address, each.name))
	}
	return fmt.Sprintf("    %s vmap { %s }\n", d.own, strings.Join(jumps, ", "))
}
