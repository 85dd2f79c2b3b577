// Package netpol puts Kubernetes' NetworkPolicies into force on a node that routes its pods' traffic, with one nftables table
// that is replaced as a whole whenever a policy, a pod or a namespace changes.
package netpol

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	netutils "k8s.io/utils/net"
)

// State is what the API server holds of what matters here.
type State struct {
	Policies   []*networking.NetworkPolicy
	Pods       []*core.Pod
	Namespaces []*core.Namespace
}

// direction is one side of a policy, seen from the pods that it selects.
type direction struct {
	kind networking.PolicyType
	peer string // what a packet's other end is in a rule
	own  string
}

var (
	ingress = direction{networking.PolicyTypeIngress, "ip saddr", "ip daddr"}
	egress  = direction{networking.PolicyTypeEgress, "ip daddr", "ip saddr"}
)

// rule is an ingress or egress rule of a policy: both have the same parts.
type rule struct {
	peers []networking.NetworkPolicyPeer
	ports []networking.NetworkPolicyPort
}

// chain is what one pod admits in one direction; everything else is dropped.
type chain struct {
	name    string
	address string
	admits  []string
}

// chains holds one chain for each pod that some policy isolates in that direction.
func (s *State) chains(d direction) []chain {
	var result []chain
	for _, pod := range s.Pods {
		if !routed(pod) {
			continue
		}
		isolated := false
		// A pod always reaches itself.
		admits := []string{fmt.Sprintf("%s %s", d.peer, pod.Status.PodIP)}
		for _, policy := range s.Policies {
			if policy.Namespace == pod.Namespace && applies(policy, d) && selects(&policy.Spec.PodSelector, pod.Labels) {
				isolated = true
				admits = append(admits, s.admitted(policy, pod, d)...)
			}
		}
		if isolated {
			name := fmt.Sprintf("%s-%s", strings.ToLower(string(d.kind)), strings.ReplaceAll(pod.Status.PodIP, ".", "-"))
			result = append(result, chain{name, pod.Status.PodIP, unique(admits)})
		}
	}
	slices.SortFunc(result, func(a, b chain) int { return cmp.Compare(a.name, b.name) })
	return result
}

// admitted are the matches of packets that the policy lets through to (or from) the pod.
func (s *State) admitted(policy *networking.NetworkPolicy, pod *core.Pod, d direction) []string {
	var matches []string
	for _, each := range rules(policy, d) {
		if len(each.peers) == 0 {
			matches = append(matches, s.fromAnywhere(each.ports, pod, d)...)
		}
		for _, peer := range each.peers {
			if peer.IPBlock != nil {
				if !netutils.IsIPv4CIDRString(peer.IPBlock.CIDR) {
					continue // no pod has such an address here
				}
				matches = append(matches, combine(block(peer.IPBlock, d), ports(each.ports, destination(pod, nil, d)))...)
				continue
			}
			for _, other := range s.selected(&peer, policy.Namespace) {
				address := fmt.Sprintf("%s %s", d.peer, other.Status.PodIP)
				matches = append(matches, combine(address, ports(each.ports, destination(pod, other, d)))...)
			}
		}
	}
	return matches
}

// fromAnywhere admits a rule without peers. A port that has only a name means something else at each pod that is gone to.
func (s *State) fromAnywhere(wanted []networking.NetworkPolicyPort, pod *core.Pod, d direction) []string {
	matches := combine("", ports(wanted, destination(pod, nil, d)))
	if d == egress && slices.ContainsFunc(wanted, named) {
		for _, other := range s.Pods {
			if routed(other) {
				byName := slices.DeleteFunc(slices.Clone(wanted), func(port networking.NetworkPolicyPort) bool { return !named(port) })
				matches = append(matches, combine("ip daddr "+other.Status.PodIP, ports(byName, other))...)
			}
		}
	}
	return matches
}

// selected are the pods that a peer of a policy in that namespace means.
func (s *State) selected(peer *networking.NetworkPolicyPeer, namespace string) []*core.Pod {
	namespaces := map[string]bool{}
	for _, each := range s.Namespaces {
		if peer.NamespaceSelector == nil {
			namespaces[each.Name] = each.Name == namespace
		} else {
			namespaces[each.Name] = selects(peer.NamespaceSelector, each.Labels)
		}
	}
	return slices.DeleteFunc(slices.Clone(s.Pods), func(pod *core.Pod) bool {
		return !routed(pod) || !namespaces[pod.Namespace] || peer.PodSelector != nil && !selects(peer.PodSelector, pod.Labels)
	})
}

func rules(policy *networking.NetworkPolicy, d direction) []rule {
	var result []rule
	if d == ingress {
		for _, each := range policy.Spec.Ingress {
			result = append(result, rule{each.From, each.Ports})
		}
	} else {
		for _, each := range policy.Spec.Egress {
			result = append(result, rule{each.To, each.Ports})
		}
	}
	return result
}

// destination is the pod whose ports a rule names: the other end for egress, which may be no pod at all.
func destination(pod, other *core.Pod, d direction) *core.Pod {
	if d == ingress {
		return pod
	}
	return other
}

func block(ip *networking.IPBlock, d direction) string {
	match := fmt.Sprintf("%s %s", d.peer, ip.CIDR)
	if len(ip.Except) > 0 {
		match += fmt.Sprintf(" %s != { %s }", d.peer, strings.Join(ip.Except, ", "))
	}
	return match
}

// ports are the matches of a rule's ports at the pod gone to; one empty match where the rule names none, and nothing
// where it names only ports which that pod does not have.
func ports(wanted []networking.NetworkPolicyPort, pod *core.Pod) []string {
	if len(wanted) == 0 {
		return []string{""}
	}
	var matches []string
	for _, port := range wanted {
		protocol := core.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		match := strings.ToLower(string(protocol))
		switch {
		case port.Port == nil:
			matches = append(matches, "meta l4proto "+match)
		case named(port):
			for _, number := range numbers(port.Port.StrVal, protocol, pod) {
				matches = append(matches, fmt.Sprintf("%s dport %d", match, number))
			}
		case port.EndPort != nil:
			matches = append(matches, fmt.Sprintf("%s dport %d-%d", match, port.Port.IntVal, *port.EndPort))
		default:
			matches = append(matches, fmt.Sprintf("%s dport %d", match, port.Port.IntVal))
		}
	}
	return matches
}

func numbers(name string, protocol core.Protocol, pod *core.Pod) []int32 {
	var found []int32
	if pod == nil {
		return found
	}
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == name && cmp.Or(port.Protocol, core.ProtocolTCP) == protocol {
				found = append(found, port.ContainerPort)
			}
		}
	}
	return found
}

func named(port networking.NetworkPolicyPort) bool {
	return port.Port != nil && port.Port.Type == intstr.String
}

func combine(first string, seconds []string) []string {
	var result []string
	for _, second := range seconds {
		result = append(result, strings.TrimSpace(first+" "+second))
	}
	return result
}

// routed tells whether the pod has, for now, an address of its own.
func routed(pod *core.Pod) bool {
	over := pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed
	return pod.Status.PodIP != "" && !pod.Spec.HostNetwork && !over
}

func applies(policy *networking.NetworkPolicy, d direction) bool {
	return slices.Contains(policy.Spec.PolicyTypes, d.kind)
}

// selects follows the API: an empty selector means all. The API server refuses what cannot be parsed.
func selects(selector *meta.LabelSelector, of map[string]string) bool {
	parsed, err := meta.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(of))
}

func unique(matches []string) []string {
	slices.Sort(matches)
	return slices.Compact(matches)
}
