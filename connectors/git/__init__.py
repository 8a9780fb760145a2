"""Git hosts: branches, commits and pull requests by the APIs of GitHub, GitLab and Gitea, over the HTTP connector's machinery."""
