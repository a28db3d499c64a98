"""Scopes in the three shapes that teams have in their claude.md."""

TABLES = """\
## Project Scope: Storefront

### Team Context
| Field | Value | Notes |
|-------|-------|-------|
| **Team** | `platform` | Lowercase, used in branch names |
| **Ticket System** | `github` | |
| **Main Branch** | `main` | |

### Domain Ownership
| Domain | Owner Role | Owner Name/Team | Notes |
|--------|-----------|-----------------|-------|
| Data Pipeline | Data Platform Engineer | @data | |
| Billing Database | Data Platform Engineer (Billing) | Billing Team | not ours |

### Active Roles on This Project
| Role | Person/Team | Scope |
|------|-------------|-------|
| Data Platform Engineer | @data | Customer DB (PostgreSQL), Analytics DW |
"""

BULLETS = """\
## Project Scope

### Team Context
- **Team Slug**: `platform` — used in branch names
- **Ticket System**: `github`
- **Main Branch**: `main`

### Domain Ownership
- Data Pipeline: Data Platform Engineer @data
- Backend APIs: Solutions Architect @sam

### Active Roles
- Data Platform Engineer: Customer DB, Analytics DW
"""

STORES = (
    TABLES
    + """
### Data Stores
| Store | Engine | Owner Role | Owner | Connection |
|-------|--------|------------|-------|------------|
| Customer DB | postgresql | Data Platform Engineer | @data | env:CUSTOMER_DB_URL |
| Billing DB | postgresql | Data Platform Engineer (Billing) | Billing Team | - |
"""
)

OTHER_COLUMNS = """\
## Project Scope
### Domain Ownership
Owner Team | Advisor Role | Domain | Owner Role
---|---|---|---
@data | Backend Developer | Customer DB | Data Platform Engineer
Billing | Data Platform Engineer | Billing DB | Backend Developer
"""

SHAPES = {"tables": TABLES, "bullets": BULLETS, "stores": STORES}
