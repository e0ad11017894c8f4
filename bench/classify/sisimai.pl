#!/usr/bin/perl
# A second opinion: what sisimai (libsisimai-perl in Debian) says of the delivery reports of a labelled collection, beside what ukai says.
#
#   ukai explain --batch DIR/items.jsonl > predictions.jsonl
#   perl bench/classify/sisimai.pl DIR predictions.jsonl > differences.tsv
#
# DIR holds items.jsonl (id, kind, file, expected_class, also_acceptable) and the files. Only items of kind dsn_file are asked: sisimai
# reads whole mails. Its reasons are brought into ukai's classes by %class below. Each difference is one line: id, the class
# that was expected, ukai's, sisimai's reason. The figures go to standard error. Nothing hangs on them: they are to be read by a person.
use strict;
use warnings;
use JSON::PP;
use Sisimai;

# sisimai's reasons; several classes where its reasons are coarser than ours.
my %class = (
    authfailure => ['auth_failure'], badreputation => ['ip_reputation', 'domain_reputation'], blocked => ['ip_reputation', 'dnsbl_listed', 'ptr_missing', 'helo_rejected'],
    contenterror => ['content_rejected'], delivered => ['delivered'], exceedlimit => ['message_too_big'], expired => ['delivery_expired', 'network_error'],
    failedstarttls => ['tls_failure'], feedback => ['feedback_report'], filtered => ['user_unknown', 'recipient_restricted'], hasmoved => ['recipient_moved'],
    hostunknown => ['domain_unknown'], mailboxfull => ['mailbox_full'], mailererror => ['local_delivery_error'], mesgtoobig => ['message_too_big'],
    networkerror => ['network_error', 'routing_loop', 'domain_unknown'], norelaying => ['relay_denied'], notaccept => ['domain_not_accepting'],
    notcompliantrfc => ['content_rejected'], onhold => ['unclassified'], policyviolation => ['policy', 'content_rejected'], rejected => ['sender_rejected'],
    requireptr => ['ptr_missing'], securityerror => ['auth_required', 'tls_failure', 'auth_failure', 'policy'], spamdetected => ['spam_content'], speeding => ['rate_limited'],
    suspend => ['mailbox_disabled'], syntaxerror => ['protocol_error'], systemerror => ['system_error'], systemfull => ['system_full'],
    toomanyconn => ['connection_limit', 'rate_limited'], undefined => ['unclassified'], userunknown => ['user_unknown'], vacation => ['auto_reply'], virusdetected => ['virus'],
);

my ($dir, $predictions) = @ARGV;
die "usage: $0 DIR PREDICTIONS.jsonl\n" unless defined $predictions;
my $json = JSON::PP->new->utf8;

sub lines {
    my $name = shift;
    open my $f, '<', $name or die "$name: $!\n";
    return map { $json->decode($_) } <$f>;
}

# Its newer versions call it rise, those before make.
my $read = Sisimai->can('rise') || Sisimai->can('make');
my %ours = map { $_->{id} => $_->{class} } lines($predictions);
my ($n, $same, $ukai, $theirs) = (0, 0, 0, 0);
for my $item (lines("$dir/items.jsonl")) {
    next if $item->{kind} ne 'dsn_file';
    my $found  = eval { $read->('Sisimai', "$dir/$item->{file}", delivered => 1, vacation => 1) };
    my $reason = $found && @$found ? $found->[0]->reason : '';
    my $said   = $class{$reason} || [];
    my $mine   = $ours{ $item->{id} } // '';
    my %good   = map { $_ => 1 } $item->{expected_class}, @{ $item->{also_acceptable} };
    $n++;
    $ukai++   if $good{$mine};
    $theirs++ if grep { $good{$_} } @$said;
    if (grep { $_ eq $mine } @$said) { $same++; next }
    print join("\t", $item->{id}, $item->{expected_class}, $mine, $reason || 'nothing'), "\n";
}
printf STDERR "%d reports; the same opinion on %.1f %%; right or defensible: ukai %.1f %%, sisimai %.1f %%\n", $n, 100 * $same / $n, 100 * $ukai / $n, 100 * $theirs / $n if $n;
