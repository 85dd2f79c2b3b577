package netpol

import (
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func pod(namespace, name, address string) *core.Pod {
	return &core.Pod{
		ObjectMeta: meta.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
		Spec: core.PodSpec{Containers: []core.Container{{
			Ports: []core.ContainerPort{{Name: "web", ContainerPort: 8080, Protocol: core.ProtocolTCP}},
		}}},
		Status: core.PodStatus{Phase: core.PodRunning, PodIP: address},
	}
}

func app(name string) *meta.LabelSelector {
	return &meta.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

func port(value intstr.IntOrString) networking.NetworkPolicyPort {
	return networking.NetworkPolicyPort{Port: &value}
}

func policy(spec networking.NetworkPolicySpec) *networking.NetworkPolicy {
	return &networking.NetworkPolicy{ObjectMeta: meta.ObjectMeta{Namespace: "ours"}, Spec: spec}
}

func incoming(rules ...networking.NetworkPolicyIngressRule) *networking.NetworkPolicy {
	types := []networking.PolicyType{networking.PolicyTypeIngress}
	return policy(networking.NetworkPolicySpec{PodSelector: *app("server"), PolicyTypes: types, Ingress: rules})
}

func outgoing(rules ...networking.NetworkPolicyEgressRule) *networking.NetworkPolicy {
	types := []networking.PolicyType{networking.PolicyTypeEgress}
	return policy(networking.NetworkPolicySpec{PodSelector: *app("client"), PolicyTypes: types, Egress: rules})
}

func state(policies ...*networking.NetworkPolicy) *State {
	return &State{
		Policies: policies,
		Pods:     []*core.Pod{pod("ours", "server", "10.0.0.1"), pod("ours", "client", "10.0.0.2"), pod("theirs", "client", "10.0.0.3")},
		Namespaces: []*core.Namespace{
			{ObjectMeta: meta.ObjectMeta{Name: "ours"}},
			{ObjectMeta: meta.ObjectMeta{Name: "theirs", Labels: map[string]string{"team": "theirs"}}},
		},
	}
}

// admits are the rules of a pod's chain, without the one by which it reaches itself; nil for a pod that is not isolated.
func admits(s *State, d direction, address string) []string {
	for _, each := range s.chains(d) {
		if each.address == address {
			others := []string{}
			for _, match := range each.admits {
				if match != d.peer+" "+address {
					others = append(others, match)
				}
			}
			return others
		}
	}
	return nil
}

func TestRules(t *testing.T) {
	team := &meta.LabelSelector{MatchLabels: map[string]string{"team": "theirs"}}
	last := int32(90)
	cases := map[string]struct {
		policies  []*networking.NetworkPolicy
		direction direction
		address   string
		want      []string
	}{
		"a pod that no policy selects is open":          {nil, ingress, "10.0.0.1", nil},
		"a policy without rules admits nobody":          {[]*networking.NetworkPolicy{incoming()}, ingress, "10.0.0.1", []string{}},
		"a policy of one direction leaves the other be": {[]*networking.NetworkPolicy{incoming()}, egress, "10.0.0.1", nil},
		"another namespace's pods are not selected":     {[]*networking.NetworkPolicy{outgoing()}, egress, "10.0.0.3", nil},
		"an empty rule admits everybody":                {[]*networking.NetworkPolicy{incoming(networking.NetworkPolicyIngressRule{})}, ingress, "10.0.0.1", []string{""}},
		"several policies add up": {[]*networking.NetworkPolicy{
			incoming(), incoming(networking.NetworkPolicyIngressRule{From: []networking.NetworkPolicyPeer{{PodSelector: app("client")}}}),
		}, ingress, "10.0.0.1", []string{"ip saddr 10.0.0.2"}},
		"a namespace and a pod selector together": {[]*networking.NetworkPolicy{incoming(networking.NetworkPolicyIngressRule{
			From: []networking.NetworkPolicyPeer{{NamespaceSelector: team, PodSelector: app("client")}},
		})}, ingress, "10.0.0.1", []string{"ip saddr 10.0.0.3"}},
		"a named port of the pod itself": {[]*networking.NetworkPolicy{incoming(networking.NetworkPolicyIngressRule{
			Ports: []networking.NetworkPolicyPort{port(intstr.FromString("web")), port(intstr.FromString("none"))},
		})}, ingress, "10.0.0.1", []string{"tcp dport 8080"}},
		"a named port of the pod gone to": {[]*networking.NetworkPolicy{outgoing(networking.NetworkPolicyEgressRule{
			To: []networking.NetworkPolicyPeer{{PodSelector: app("server")}}, Ports: []networking.NetworkPolicyPort{port(intstr.FromString("web"))},
		})}, egress, "10.0.0.2", []string{"ip daddr 10.0.0.1 tcp dport 8080"}},
		"a block with a hole, and a range of ports": {[]*networking.NetworkPolicy{outgoing(networking.NetworkPolicyEgressRule{
			To:    []networking.NetworkPolicyPeer{{IPBlock: &networking.IPBlock{CIDR: "192.168.0.0/16", Except: []string{"192.168.1.0/24"}}}},
			Ports: []networking.NetworkPolicyPort{{Port: &intstr.IntOrString{IntVal: 80}, EndPort: &last}},
		})}, egress, "10.0.0.2", []string{"ip daddr 192.168.0.0/16 ip daddr != { 192.168.1.0/24 } tcp dport 80-90"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := admits(state(c.policies...), c.direction, c.address)
			if (got == nil) != (c.want == nil) || strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestFinishedPodsHaveNoAddress(t *testing.T) {
	s := state(incoming())
	s.Pods[0].Status.Phase = core.PodSucceeded
	if table := s.Table(); strings.Contains(table, "10.0.0.1") {
		t.Errorf("an address that may be another pod's by now is in the table:\n%s", table)
	}
}
