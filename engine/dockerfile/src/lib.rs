//! `mabuild-dockerfile`: the text of a Dockerfile to stages and instructions with their places. Pure.
