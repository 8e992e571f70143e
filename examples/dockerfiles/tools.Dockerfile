FROM busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY <<passwd <<group /etc/
root:x:0:0:root:/root:/bin/sh
app:x:1000:1000:app:/srv:/bin/sh
passwd
root:x:0:
app:x:1000:
group
RUN mkdir -p /root /srv && mkdir -m 1777 /tmp
CMD ["/bin/sh"]
