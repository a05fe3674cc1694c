# registry.pl: a registry at port 5000 with one image, busybox, under the tags `latest` and `other` of any name. Writes the
# requests to /root/requests. The second tag is another image: its configuration differs.
use strict;
use warnings;
use IO::Socket::INET;

my $socket = IO::Socket::INET->new(Listen => 9, LocalPort => 5000, ReuseAddr => 1) or die "port 5000: $!";
my (%blobs, %manifests);

# The digest, by sha256sum: a small Perl has no module for it.
sub sha256_hex {
    my ($bytes) = @_;
    open my $file, '>', '/root/hashed' or die $!;
    print $file $bytes;
    close $file;
    return substr `sha256sum /root/hashed`, 0, 64;
}

# Keeps a blob; its descriptor.
sub blob {
    my ($type, $bytes) = @_;
    my $digest = 'sha256:' . sha256_hex($bytes);
    $blobs{$digest} = $bytes;
    my $size = length $bytes;
    return qq({"mediaType":"application/vnd.docker.$type","size":$size,"digest":"$digest"});
}

my $layer = `tar -C / -c usr/bin/busybox`;
my $diff = sha256_hex($layer);
my $archive = blob('image.rootfs.diff.tar.gzip', scalar `tar -C / -c usr/bin/busybox | gzip -n`);
my $type = 'application/vnd.docker.distribution.manifest.v2+json';
chomp(my $arch = `dpkg --print-architecture`);
for my $tag ('latest', 'other') {
    my $config = blob('container.image.v1+json',
        qq({"architecture":"$arch","os":"linux","config":{"Cmd":["/usr/bin/busybox","true"],"Env":["TAG=$tag"]},)
            . qq("rootfs":{"type":"layers","diff_ids":["sha256:$diff"]}}));
    $manifests{$tag} = qq({"schemaVersion":2,"mediaType":"$type","config":$config,"layers":[$archive]});
    $manifests{'sha256:' . sha256_hex($manifests{$tag})} = $manifests{$tag};
}

# The answer to a path: status, media type, bytes.
sub answer {
    my ($path) = @_;
    return ('200 OK', 'application/json', '{}') if $path eq '/v2/';
    return ('200 OK', 'application/json', '{"name":"theirs","tags":["latest","other"]}') if $path =~ m{/tags/list$};
    return ('200 OK', $type, $manifests{$1}) if $path =~ m{/manifests/([^/]+)$} && $manifests{$1};
    return ('200 OK', 'application/octet-stream', $blobs{$1}) if $path =~ m{/blobs/([^/]+)$} && $blobs{$1};
    return ('404 Not Found', 'application/json', '{"errors":[{"code":"NAME_UNKNOWN","message":"unknown"}]}');
}

open my $log, '>', '/root/requests' or die $!;
$log->autoflush(1);
while (my $client = $socket->accept) {
    my $request = '';
    # A handshake of TLS: dockerd tries that first, and then plain HTTP.
    my $first = getc $client;
    next if !defined $first || $first eq "\x16";
    while (my $line = <$client>) {
        last if $line =~ /^\r?$/;
        $request ||= $first . $line;
    }
    my ($method, $path) = split ' ', $request;
    next unless defined $path;
    print $log "$method $path\n";
    my ($status, $kind, $bytes) = answer($path);
    print $client "HTTP/1.1 $status\r\nContent-Type: $kind\r\nDocker-Content-Digest: sha256:" . sha256_hex($bytes) . "\r\n"
        . 'Content-Length: ' . length($bytes) . "\r\nConnection: close\r\n\r\n";
    print $client $bytes unless $method eq 'HEAD';
    close $client;
}
